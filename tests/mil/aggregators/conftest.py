"""Tiles of random features, and models whose tile features are what they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from histofed.mil.aggregators.projection import Tiles


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def tiles() -> torch.Tensor:
    """Two bags of six and four tiles, padded with noise."""
    return torch.randn(2, 6, 5)


@pytest.fixture
def valid() -> torch.Tensor:
    return torch.tensor([[True] * 6, [True] * 4 + [False] * 2])


class Unprojected(torch.nn.Module):
    """In the place of the projection: h is x."""

    def forward(self, tiles: Tiles) -> torch.Tensor:
        return tiles.standardised()


@pytest.fixture
def unprojected() -> torch.nn.Module:
    return Unprojected()


@pytest.fixture
def bare(unprojected) -> Callable[..., Any]:
    """Return the maker of a model of 5 features without projection, so that h is x."""

    def make(kind: type, n_classes: int, **options: Any) -> Any:
        model = kind(5, n_classes, hidden_dim=5, attention_dim=3, **options).eval()
        model.project = unprojected
        return model

    return make
