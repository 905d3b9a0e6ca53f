from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.mil.aggregators.dtfd import DTFD


def dealt(model: DTFD, n_tiles: int, n_padding: int) -> torch.Tensor:
    valid = torch.arange(n_tiles + n_padding)[None] < n_tiles
    return model._deal(torch.randn(1, n_tiles + n_padding), valid)[0]


@pytest.mark.parametrize("training", [True, False])
@settings(max_examples=25, deadline=None)
@given(n_tiles=st.integers(1, 40), n_padding=st.integers(0, 9), n_pseudo=st.integers(1, 9))
def test_tiles_are_dealt_evenly_and_no_pseudo_bag_is_empty(training, n_tiles, n_padding, n_pseudo):
    model = DTFD(5, 1, n_pseudo_bags=n_pseudo).train(training)
    with torch.random.fork_rng():
        in_MN = dealt(model, n_tiles, n_padding)
    sizes = in_MN.sum(dim=1)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1
    assert not in_MN[:, n_tiles:].any()
    if n_tiles >= n_pseudo:
        assert (in_MN[:, :n_tiles].sum(dim=0) == 1).all()


def test_training_deals_anew_each_time_and_the_test_does_not():
    model, valid = DTFD(5, 1), torch.ones(1, 40, dtype=torch.bool)
    scores = torch.randn(1, 40)
    assert not torch.equal(model._deal(scores, valid), model._deal(scores, valid))
    model.eval()
    assert torch.equal(model._deal(scores, valid), model._deal(scores, valid))


@torch.no_grad()
def test_every_pseudo_bag_has_its_share_of_the_attended_tiles():
    model = DTFD(5, 1, n_pseudo_bags=4).eval()
    in_MN = model._deal(torch.arange(40.0)[None], torch.ones(1, 40, dtype=torch.bool))[0]
    for part in range(0, 40, 4):
        assert in_MN[:, part : part + 4].sum(dim=1).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("distill", ["attended", "max_min"])
def test_both_tiers_written_out(bare, tiles, valid, distill):
    model = bare(DTFD, 2, n_pseudo_bags=2, distill=distill)
    with torch.no_grad():
        output = model(tiles, valid)
        scores = model.attend_tiles(tiles)[:, 0]
        groups = model._deal(scores, valid)[1]
        distilled = []
        for inside in groups:
            mine = inside.nonzero().flatten()
            weights = torch.softmax(scores[1, mine], dim=0)
            if distill == "attended":
                distilled.append(weights @ tiles[1, mine])
                continue
            for row in model.classify_pseudo.weight:
                share = weights * (tiles[1, mine] @ row)
                distilled += [tiles[1, mine[share.argmax()]], tiles[1, mine[share.argmin()]]]
        stacked = torch.stack(distilled)
        second = torch.softmax(model.attend_distilled(stacked[None])[0, 0], dim=0)
        expected = second @ stacked
    torch.testing.assert_close(output.embedding_BE[1], expected)
    torch.testing.assert_close(output.attention_BN[1] @ tiles[1], expected)


def test_the_first_tier_predicts_from_each_pseudo_bag(bare, tiles, valid):
    model = bare(DTFD, 2, n_pseudo_bags=3, first_tier_weight=0.4).train()
    [term] = model(tiles, valid).auxiliary
    assert term.logits_BKC.shape == (2, 3, 2)
    assert term.weight == 0.4
