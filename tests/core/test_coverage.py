"""How much of a tile a coarse map covers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histofed.core.coverage import box_means


@st.composite
def maps_and_tiles(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float, float]:
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    image = draw(arrays(np.bool_, shape) | arrays(np.int64, shape, elements=st.integers(0, 255)))
    corners = st.tuples(st.integers(0, 400), st.integers(0, 400))
    coords = np.array(draw(st.lists(corners, min_size=1, max_size=5)), dtype=np.int64)
    return image, coords, draw(st.floats(1.0, 300.0)), draw(st.floats(0.7, 40.0))


@given(maps_and_tiles())
def test_box_means_weigh_cut_pixels_by_area(case) -> None:
    image, coords, side_px0, px0_per_px = case

    def covered(start: float, n_pixels: int) -> np.ndarray:
        """How much of each pixel of one axis lies in the tile."""
        low, high = start / px0_per_px, (start + side_px0) / px0_per_px
        pixels = np.arange(n_pixels)
        return np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)

    area = (side_px0 / px0_per_px) ** 2
    expected = [
        covered(y, image.shape[0]) @ image.astype(float) @ covered(x, image.shape[1]) / area
        for x, y in coords
    ]
    # The difference of two sums over the whole map loses digits when the tile is tiny.
    tolerance = 1e-12 * image.astype(float).sum() / area + 1e-9
    found = box_means(image, coords, side_px0, px0_per_px)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=tolerance)


def test_no_tile_is_covered_by_nothing() -> None:
    assert box_means(np.ones((3, 3)), np.zeros((0, 2), np.int64), 224.0, 16.0).shape == (0,)
