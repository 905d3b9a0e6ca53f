"""Mean, SiMLP and max against their formulas."""

from __future__ import annotations

import torch

from histofed.mil.aggregators.max import MaxPool
from histofed.mil.aggregators.mean import MeanPool
from histofed.mil.aggregators.simlp import SiMLP

TILES = torch.tensor([[[1.0, -2.0, 0.5], [3.0, 0.0, -1.0], [9.0, 9.0, 9.0]]])
VALID = torch.tensor([[True, True, False]])


def without_norm(kind, seed: int = 0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(3, 2, hidden_dim=4, tile_norm=False).eval()


@torch.no_grad()
def test_mean():
    model = without_norm(MeanPool)
    linear = model.project.linear
    hidden = [torch.relu(linear(tile)) for tile in TILES[0, :2]]
    expected = (hidden[0] + hidden[1]) / 2
    output = model(TILES, VALID)
    torch.testing.assert_close(output.embedding_BE[0], expected)
    torch.testing.assert_close(output.logits_BC[0], model.classify(expected))


@torch.no_grad()
def test_max():
    model = without_norm(MaxPool)
    linear = model.project.linear
    hidden = [torch.relu(linear(tile)) for tile in TILES[0, :2]]
    torch.testing.assert_close(
        model(TILES, VALID).embedding_BE[0], torch.maximum(hidden[0], hidden[1])
    )


@torch.no_grad()
def test_simlp_is_a_network_of_the_mean():
    model = without_norm(SiMLP)
    mean = TILES[0, :2].mean(dim=0)
    expected = torch.relu(model.embed[0](mean))
    torch.testing.assert_close(model(TILES, VALID).embedding_BE[0], expected)


@torch.no_grad()
def test_the_mean_of_more_tiles_than_float16_can_count():
    """65,504 is the largest number of float16."""
    model = without_norm(MeanPool).half()
    one = model(TILES[:, :1].half(), torch.ones(1, 1, dtype=torch.bool)).logits_BC
    many = TILES[:, :1].half().expand(1, 70_000, 3)
    found = model(many, torch.ones(1, 70_000, dtype=torch.bool)).logits_BC
    torch.testing.assert_close(found, one, atol=0.05, rtol=0.05)
