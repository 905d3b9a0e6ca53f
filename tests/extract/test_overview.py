"""What a picture of a slide is read from, and what that costs at most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.types import SlideInfo
from histofed.extract.overview import MOST_PX, backdrop
from histofed.io.readers.base import read_thumbnail

LONGER_PX = 160


class Paper:
    """A slide of which only the coarse levels may be read; it notes what is read."""

    def __init__(self, *sizes_px: tuple[int, int], mpp: float = 0.25) -> None:
        self.info = SlideInfo(mpp=mpp, level_sizes_px=sizes_px, vendor="test")
        self.levels_read: set[int] = set()
        self.read_px = 0

    def read(self, level, x_px, y_px, *, width_px, height_px):
        self.levels_read.add(level)
        self.read_px += width_px * height_px
        return np.full((height_px, width_px, 3), level, np.uint8)

    def thumbnail(self, mpp):
        return read_thumbnail(self, mpp)


def thumbnail_of(paper, mpp):
    """A thumbnail of that size, without reading it."""
    width, height = (np.ceil(px * paper.info.mpp / mpp) for px in paper.info.level_sizes_px[0])
    return np.zeros((int(height), int(width), 3), np.uint8)


def picture(paper, mpp):
    return backdrop(paper, thumbnail_of(paper, mpp), thumbnail_mpp=mpp, longer_px=LONGER_PX)


def test_a_small_slide_is_read_as_finely_as_its_picture_is_shown() -> None:
    paper = Paper((1600, 800), (400, 200))
    pixels, mpp = picture(paper, 8.0)
    assert pixels.shape == (80, 160, 3)
    assert mpp == pytest.approx(2.5)
    assert paper.levels_read == {1}  # at 1 um per pixel


def test_no_detail_is_invented() -> None:
    paper = Paper((100, 50))
    pixels, mpp = picture(paper, 8.0)
    assert (pixels.shape, mpp) == ((50, 100, 3), 0.25)


@pytest.mark.parametrize("mpp", [20.0, 40.0, 400.0])
def test_level_0_of_a_huge_slide_is_not_read_for_a_picture(mpp) -> None:
    paper = Paper((100_000, 100_000), (25_000, 25_000), (6250, 6250))
    pixels, _ = picture(paper, mpp)
    assert paper.levels_read == ({2} if mpp == 400 else set())  # else the thumbnail is fine enough
    assert paper.read_px <= MOST_PX
    assert max(pixels.shape) >= LONGER_PX


def test_without_a_level_that_is_small_enough_the_thumbnail_will_do() -> None:
    paper = Paper((100_000, 100_000))
    pixels, mpp = picture(paper, 250.0)
    assert not paper.levels_read
    assert (pixels.shape, mpp) == ((100, 100, 3), 250.0)


@given(
    st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([0.5, 2.0, 8.0]),
    st.sampled_from([0.25, 0.499]),
)  # fmt: skip
def test_the_picture_covers_the_slide_and_no_more(width, height, thumbnail_mpp, mpp) -> None:
    paper = Paper((width, height), mpp=mpp)
    pixels, found_mpp = picture(paper, thumbnail_mpp)
    for length, length_px0 in zip(pixels.shape[1::-1], (width, height), strict=True):
        assert length_px0 * mpp <= length * found_mpp * (1 + 1e-9)
        assert (length - 1) * found_mpp < length_px0 * mpp + max(thumbnail_mpp, found_mpp)
    assert max(pixels.shape) >= min(LONGER_PX, max(width, height))
