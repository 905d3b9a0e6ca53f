from __future__ import annotations

import torch

from histofed.mil.aggregators.clam import CLAM


@torch.no_grad()
def test_each_branch_has_its_class(bare, tiles, valid):
    model = bare(CLAM, 3, multi_branch=True)
    scores = model.attend(tiles)
    for branch in range(3):
        weights = torch.softmax(scores[1, branch, :4], dim=0)
        expected = model.classify(weights @ tiles[1, :4])[branch]
        torch.testing.assert_close(model(tiles, valid).logits_BC[1, branch], expected)


@torch.no_grad()
def test_a_binary_task_has_two_branches_and_the_difference_of_their_logits(bare, tiles, valid):
    model = bare(CLAM, 1, multi_branch=True)
    weights = torch.softmax(model.attend(tiles)[0], dim=-1)
    negative, positive = (model.classify(weights[k] @ tiles[0])[k] for k in range(2))
    torch.testing.assert_close(model(tiles, valid).logits_BC[0, 0], positive - negative)


def test_the_most_and_the_least_attended_tiles_are_clustered(bare, tiles, valid):
    model = bare(CLAM, 1, n_chosen=2, multi_branch=True, instance_weight=0.7).train()
    [term] = model(tiles, valid).auxiliary
    assert term.weight == 0.7
    assert not term.exclusive
    assert term.top_K.tolist() == [True, True, False, False]
    for group in range(2):
        order = model.attend(tiles)[1, group, :4].argsort(descending=True).tolist()
        chosen = tiles[1, [order[0], order[1], order[3], order[2]]]
        torch.testing.assert_close(term.logits_BGK[1, group], model.cluster(chosen)[:, group])


def test_one_branch_chooses_for_all_groups(bare, tiles, valid):
    model = bare(CLAM, 3, n_chosen=1, exclusive=True).train()
    [term] = model(tiles, valid).auxiliary
    scores = model.attend(tiles)[1, 0, :4]
    chosen = tiles[1, [int(scores.argmax()), int(scores.argmin())]]
    torch.testing.assert_close(term.logits_BGK[1], model.cluster(chosen).T)
    assert term.exclusive


def test_a_small_bag_gives_half_of_its_tiles_to_each(bare, tiles):
    model = bare(CLAM, 1, n_chosen=3).train()
    sizes = torch.tensor([5, 1])
    [term] = model(tiles, torch.arange(6)[None] < sizes[:, None]).auxiliary
    assert term.valid_BGK[0].tolist() == [[True, True, False] * 2] * 2
    assert not term.valid_BGK[1].any()
