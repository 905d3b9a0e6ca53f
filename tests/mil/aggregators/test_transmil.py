from __future__ import annotations

import torch

from histofed.mil.aggregators.nystrom import NystromAttention, pseudo_inverse
from histofed.mil.aggregators.tokens import SelfAttention
from histofed.mil.aggregators.transmil import PPEG


@torch.no_grad()
def test_ppeg_is_three_convolutions_and_the_identity_on_the_slides_own_cells():
    place = PPEG(3)
    torch.nn.init.normal_(place.bias_E)
    canvas = torch.zeros(2, 3, 9, 12)  # two slides
    filled = torch.rand(2, 9, 12) < 0.4
    slide, row, column = filled.nonzero(as_tuple=True)
    tiles = torch.randn(len(slide), 3)
    canvas[slide, :, row, column] = tiles
    expected = canvas + place.bias_E[:, None, None]
    for kernel, side in zip(place.kernels, (7, 5, 3), strict=True):
        expected += torch.nn.functional.conv2d(canvas, kernel, padding=side // 2, groups=3)
    cells = torch.stack([slide, column, row], dim=1)
    found = place(tiles[None], torch.ones(1, len(tiles), dtype=torch.bool), cells[None])
    torch.testing.assert_close(found[0], expected[slide, :, row, column], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_without_positions_a_tile_keeps_its_own_cell_only():
    place, tiles = PPEG(3), torch.randn(1, 6, 3)
    valid = torch.ones(1, 6, dtype=torch.bool)
    far_apart = torch.arange(6).reshape(1, 6, 1) * torch.tensor([0, 10, 0])
    torch.testing.assert_close(place(tiles, valid, None), place(tiles, valid, far_apart))


@torch.no_grad()
def test_with_a_landmark_for_every_token_nystrom_is_near_exact_attention():
    nystrom = NystromAttention(8, 2, n_landmarks=16)
    exact = SelfAttention(8, 2)
    exact.load_state_dict(nystrom.state_dict())
    # Far apart, so that six iterations are enough for the inverse.
    tokens, valid = 3 * torch.randn(2, 12, 8), torch.arange(12)[None] < torch.tensor([[12], [7]])
    found, expected = nystrom(tokens, valid), exact(tokens, valid)
    error = (found - expected)[valid].norm() / expected[valid].norm()
    assert error < 0.25


@torch.no_grad()
def test_landmarks_share_the_tokens_of_each_bag_evenly():
    nystrom = NystromAttention(4, 1, n_landmarks=5)
    valid = torch.arange(23)[None] < torch.tensor([[23], [3]])
    segments = nystrom._segments(torch.randn(2, 23, 4), valid)
    assert (segments.sum(dim=1) == valid).all()
    assert sorted(segments[0].sum(dim=1).tolist()) == [4, 4, 5, 5, 5]
    assert segments[1].sum(dim=1).tolist() == [1, 1, 1, 0, 0]


def test_the_pseudo_inverse_is_that_of_the_landmarks_that_exist():
    core = torch.softmax(torch.randn(1, 2, 6, 6) + 4 * torch.eye(6), dim=-1)
    exists = torch.tensor([[True] * 4 + [False] * 2])
    core[..., 4:] = 0
    found = pseudo_inverse(core, exists)
    expected = torch.linalg.pinv(core[..., :4, :4])
    torch.testing.assert_close(found[..., :4, :4], expected, atol=1e-3, rtol=1e-3)


def test_the_pseudo_inverse_of_equal_landmarks_is_finite():
    core = torch.full((1, 1, 6, 6), 1 / 6)
    found = pseudo_inverse(core, torch.ones(1, 6, dtype=torch.bool))
    torch.testing.assert_close(core @ found @ core, core)
