from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histofed.errors import ConfigError
from histofed.extract.stain.augment import HED, hed_jitter

tiles = arrays(np.uint8, (3, 4, 5, 3), elements=st.integers(1, 255)).map(torch.from_numpy)


@settings(max_examples=25, deadline=None)
@given(pictures=tiles, seed=st.integers(0, 2**20))
def test_no_jitter_changes_nothing(pictures, seed) -> None:
    assert torch.equal(hed_jitter(pictures, sigma=0, seed=seed), pictures)


@settings(max_examples=10, deadline=None)
@given(pictures=tiles, seed=st.integers(0, 2**20))
def test_a_seed_is_a_stain(pictures, seed) -> None:
    one = hed_jitter(pictures, sigma=0.2, seed=seed)
    assert torch.equal(hed_jitter(pictures, sigma=0.2, seed=seed), one)
    assert not torch.equal(hed_jitter(pictures, sigma=0.2, seed=seed + 1), one)
    assert one.dtype == torch.uint8


def test_amounts_are_scaled_and_shifted_within_sigma() -> None:
    """A line through amounts before and after says what became of each stain of each tile."""
    generator = torch.Generator().manual_seed(0)
    amounts = 0.3 + 0.2 * torch.rand(2500, 3, generator=generator).double()
    light = (255 * 10 ** -(amounts @ HED)).round()
    tile = light.to(torch.uint8).reshape(1, 50, 50, 3)
    before = -torch.log10(light / 255) @ torch.linalg.inv(HED)
    fits = []
    for seed in range(40):
        after = hed_jitter(tile, sigma=0.2, seed=seed).double().reshape(-1, 3)
        found = -torch.log10(after / 255) @ torch.linalg.inv(HED)
        fits.append([np.polyfit(before[:, stain], found[:, stain], 1) for stain in range(3)])
    for measured, middle in zip(np.moveaxis(np.array(fits), -1, 0), (1.0, 0.0), strict=True):
        assert measured.min() == pytest.approx(middle - 0.2, abs=0.03)
        assert measured.max() == pytest.approx(middle + 0.2, abs=0.03)


def test_tiles_of_a_batch_have_stains_of_their_own(tile) -> None:
    same = tile.expand(3, -1, -1, -1)
    after = hed_jitter(same, sigma=0.2, seed=0)
    assert not torch.equal(after[0], after[1])
    assert not torch.equal(after[1], after[2])


@pytest.mark.parametrize("sigma", [-0.1, 1.1, float("nan")])
def test_an_impossible_sigma_is_refused(tile, sigma) -> None:
    with pytest.raises(ConfigError, match="sigma"):
        hed_jitter(tile, sigma=sigma, seed=0)
