from __future__ import annotations

import pytest
import torch

from histofed.errors import ConfigError
from histofed.mil.aggregators.acmil import ACMIL


@torch.no_grad()
def test_the_bag_is_seen_with_the_mean_of_the_branches(bare, tiles, valid):
    model = bare(ACMIL, 2, n_branches=3)
    weights = torch.softmax(model.attend(tiles)[1, :, :4], dim=-1).mean(dim=0)
    output = model(tiles, valid)
    torch.testing.assert_close(output.attention_BN[1, :4], weights)
    torch.testing.assert_close(output.logits_BC[1], model.classify(weights @ tiles[1, :4]))


@pytest.mark.parametrize(("n_tiles", "n_masked"), [(1, 0), (2, 1), (5, 3), (10, 6), (60, 6)])
def test_some_of_the_most_attended_tiles_are_masked(n_tiles, n_masked):
    model = ACMIL(5, 1, n_branches=4)
    scores = torch.randn(1, 4, 70)
    valid = (torch.arange(70) < n_tiles).expand(1, 4, 70)
    masked = model._masked(scores, valid)[0]
    assert masked.sum(dim=1).tolist() == [n_masked] * 4
    for branch in range(4):
        top = scores[0, branch, :n_tiles].topk(min(10, n_tiles)).indices
        assert set(masked[branch].nonzero().flatten().tolist()) <= set(top.tolist())
    if n_tiles >= 10:
        assert not torch.equal(model._masked(scores, valid)[0], masked)


def test_only_training_masks(bare, tiles, valid):
    model = bare(ACMIL, 1, n_branches=2)
    assert (model(tiles, valid).attention_BN[0] > 0).all()
    model.train()
    model.attend.score.weight.data[:] = 1.0  # one ranking for both branches
    assert (model(tiles, valid).attention_BN[0] == 0).any()


def test_branches_predict_and_are_kept_apart(bare, tiles, valid):
    model = bare(ACMIL, 2, n_branches=3, masked_share=0.0, diversity_weight=0.2).train()
    branches, diversity = model(tiles, valid).auxiliary
    weights = torch.softmax(model.attend(tiles)[1, :, :4], dim=-1)
    for k in range(3):
        expected = model.classify_branch[k](weights[k] @ tiles[1, :4])
        torch.testing.assert_close(branches.logits_BKC[1, k], expected)
    cosines = [
        torch.cosine_similarity(weights[a], weights[b], dim=0) for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    torch.testing.assert_close(diversity.value_B[1], sum(cosines) / 3)
    assert diversity.weight == 0.2


@pytest.mark.parametrize("options", [{"n_branches": 1}, {"masked_share": 1.0}])
def test_what_cannot_work_is_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        ACMIL(5, 1, **options)
