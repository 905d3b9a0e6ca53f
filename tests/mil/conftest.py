"""Toy bags: patients of a few tiles of random features, with or without positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histofed.core.cohort import Cohort
from histofed.core.tiling import TileSpec
from histofed.core.types import Slide
from histofed.io.store import FeatureStore, Recipe, Record, SlideFeatures
from histofed.mil.bags import Bag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

DIM = 4


def make_bag(name: str, n_tiles: int, *, label: int = 0, seed: int = 0, site: str = "north") -> Bag:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n_tiles, DIM, generator=generator).half()
    coords = torch.arange(2 * n_tiles).reshape(n_tiles, 2)
    tiles_of = {name: slice(0, n_tiles)}
    return Bag(name, site, (float(label),), features, coords_N2=coords, tiles_of=tiles_of)


def write_features(
    folder: Path,
    slide_id: str,
    n_tiles: int,
    *,
    encoder: str = "toy",
    placed: bool = True,
    start: int = 0,
) -> None:
    """Write a slide whose tile i has features ``start + i`` and corner ``(start + i, 7)``."""
    spec = TileSpec(size_px=8, mpp=0.5) if placed else None
    record = Record(
        recipe=Recipe(spec=spec, encoder=encoder),
        slide_id=slide_id,
        slide_digest=f"image of {slide_id}",
        mpp=0.25 if placed else None,
        width_px0=4000 if placed else None,
        height_px0=4000 if placed else None,
    )
    index = start + np.arange(n_tiles)
    coords = np.stack([index, np.full(n_tiles, 7)], axis=1) if placed else None
    features = np.repeat(index[:, None], DIM, axis=1).astype(np.float16)
    FeatureStore(folder).write(SlideFeatures(record=record, features_ND=features, coords_N2=coords))


def make_cohort(slides: Sequence[tuple[str, str]], labels: dict[str, int]) -> Cohort:
    """Return a cohort of ``(slide, patient)`` at one site."""
    return Cohort(
        name="toy",
        slides=tuple(Slide(slide_id=s, patient_id=p, site="north") for s, p in slides),
        labels={patient: (float(label),) for patient, label in labels.items()},
    )


@pytest.fixture
def bag() -> Callable[..., Bag]:
    return make_bag


@pytest.fixture
def write() -> Callable[..., None]:
    return write_features


@pytest.fixture
def cohort() -> Callable[..., Cohort]:
    return make_cohort
