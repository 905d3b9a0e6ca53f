from __future__ import annotations

import pytest
import torch

from histofed.mil.aggregators.chowder import Chowder


def kept_by(model: Chowder, features_BND: torch.Tensor, valid_BN: torch.Tensor) -> torch.Tensor:
    """Return what reaches the layer over the scores."""
    seen = []
    model.embed.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        model(features_BND, valid_BN)
    return seen[0]


def scored_by_themselves(unprojected, **options) -> Chowder:
    """Return a model whose tile scores are the tile's features."""
    model = Chowder(2, 1, n_channels=2, tile_norm=False, **options).eval()
    model.score = unprojected
    return model


def test_the_highest_and_the_lowest_of_each_channel(unprojected):
    model = scored_by_themselves(unprojected, n_extreme=2)
    features = torch.tensor([[[1.0, -1.0], [5.0, -5.0], [3.0, -3.0], [4.0, -4.0]]])
    kept = kept_by(model, features, torch.ones(1, 4, dtype=torch.bool))
    assert kept.reshape(2, 4).tolist() == [[5, 4, 1, 3], [-1, -3, -5, -4]]


@pytest.mark.parametrize("padding", [-100.0, 100.0])
def test_padding_outranks_nothing_and_missing_ranks_are_zero(padding, unprojected):
    model = scored_by_themselves(unprojected, n_extreme=3)
    features = torch.tensor([[[-1.0, -1.0], [-2.0, -2.0], [padding, padding]]])
    kept = kept_by(model, features, torch.tensor([[True, True, False]]))
    assert kept.reshape(2, 6)[0].tolist() == [-1, -2, 0, -2, -1, 0]
