"""Synthetic slides laid out in microns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from histofed.core.types import SlideInfo

if TYPE_CHECKING:
    from collections.abc import Callable

GLASS = (242, 242, 242)


def picture(side_um: float, mpp: float, *, seed: int = 0) -> np.ndarray:
    side = round(side_um / mpp)
    noise = np.random.default_rng(seed).normal(0, 1.5, (side, side, 3))
    return np.clip(np.array(GLASS) + noise, 0, 255).astype(np.uint8)


def discs(
    side_um: float, mpp: float, centres_um: np.ndarray, radius_um: float | np.ndarray
) -> np.ndarray:
    """Where any of the discs is; painted each in its own window."""
    side = round(side_um / mpp)
    found = np.zeros((side, side), dtype=bool)
    for (x, y), radius in zip(centres_um, np.broadcast_to(radius_um, len(centres_um)), strict=True):
        top, left = (max(int((at - radius) / mpp), 0) for at in (y, x))
        bottom, right = (min(int((at + radius) / mpp) + 2, side) for at in (y, x))
        ys, xs = np.ogrid[top:bottom, left:right]
        found[top:bottom, left:right] |= (
            np.hypot((xs + 0.5) * mpp - x, (ys + 0.5) * mpp - y) <= radius
        )
    return found


@pytest.fixture
def info() -> Callable[[float], SlideInfo]:
    """Return the maker of a square slide at 0.5 microns per pixel, by its side in microns."""
    return lambda side_um: SlideInfo(
        mpp=0.5, level_sizes_px=((round(side_um / 0.5),) * 2,), vendor="test"
    )


@pytest.fixture(scope="session")
def paint() -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    """Return the painters of glass and of discs."""
    return picture, discs
