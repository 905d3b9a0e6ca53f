from __future__ import annotations

import pytest
import torch

from histofed.errors import ConfigError
from histofed.mil.aggregators.he2rna import HE2RNA

SCORES = torch.tensor([[5.0, -1.0], [1.0, -2.0], [3.0, -9.0], [4.0, -4.0]])


@pytest.fixture
def scored_by_themselves(unprojected):
    """Return the maker of a model whose tile scores are the tile's features."""

    def make(**options) -> HE2RNA:
        model = HE2RNA(2, 2, **options).eval()
        model.project, model.score = unprojected, torch.nn.Identity()
        return model

    return make


def top_mean(scores_N: torch.Tensor, k: int) -> float:
    ranked = sorted(scores_N.tolist(), reverse=True)[:k]
    return sum(ranked) / len(ranked)


def test_the_mean_of_the_highest_scores_averaged_over_the_list(scored_by_themselves):
    model = scored_by_themselves(n_top=(1, 3, 100))
    output = model(SCORES[None], torch.ones(1, 4, dtype=torch.bool))
    # Of 100 there are but 4.
    expected = [sum(top_mean(column, k) for k in (1, 3, 100)) / 3 for column in SCORES.T]
    assert output.logits_BC[0].tolist() == pytest.approx(expected)
    assert output.evidence_BNC.sum(dim=1)[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("padding", [-100.0, 0.0, 100.0])
def test_padding_outranks_nothing_even_where_all_scores_are_negative(padding, scored_by_themselves):
    model = scored_by_themselves(n_top=(1, 3))
    bag = torch.cat([torch.full((2, 2), padding), SCORES[:2]])
    output = model(bag[None], torch.tensor([[False, False, True, True]]))
    expected = [(top_mean(column, 1) + top_mean(column, 2)) / 2 for column in SCORES[:2].T]
    assert output.logits_BC[0].tolist() == pytest.approx(expected)
    assert (output.evidence_BNC[0, :2] == 0).all()


def test_training_draws_one_of_the_list_each_time(scored_by_themselves):
    model = scored_by_themselves(n_top=(1, 2)).train()
    valid = torch.ones(1, 4, dtype=torch.bool)
    seen = [tuple(model(SCORES[None], valid).logits_BC[0].tolist()) for _ in range(60)]
    possible = {tuple(top_mean(column, k) for column in SCORES.T) for k in (1, 2)}
    assert set(seen) == possible
    assert 10 < seen.count(seen[0]) < 50


def test_the_embedding_gives_the_logit_of_a_single_output(tiles, valid):
    model = HE2RNA(5, 1, hidden_dim=7).eval()
    output = model(tiles, valid)
    torch.testing.assert_close(model.score(output.embedding_BE), output.logits_BC)


def test_only_the_highest_tiles_learn(scored_by_themselves):
    model = scored_by_themselves(n_top=(2,))
    bag = SCORES[None].clone().requires_grad_()
    model.project = torch.nn.Identity()
    model.project.forward = lambda tiles: bag
    model(SCORES[None], torch.ones(1, 4, dtype=torch.bool)).logits_BC.sum().backward()
    assert bag.grad[0].tolist() == [[0.5, 0.5], [0, 0.5], [0, 0], [0.5, 0]]


def test_an_empty_list_is_refused():
    with pytest.raises(ConfigError, match=r"aggregator\.n_top is empty"):
        HE2RNA(2, 1, n_top=())
