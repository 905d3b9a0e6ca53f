from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.core.types import SlideInfo
from histofed.review import deepzoom
from histofed.review.deepzoom import (
    MAX_SOURCE_PX,
    OVERLAP_PX,
    ZOOM_TILE_PX,
    grid,
    source_box,
    zoom_tile,
)


def info_of(width: int, height: int, downsamples: tuple[int, ...] = (1,)) -> SlideInfo:
    sizes = tuple((max(width // each, 1), max(height // each, 1)) for each in downsamples)
    return SlideInfo(mpp=0.25, level_sizes_px=sizes, vendor="made")


slides = st.builds(
    info_of,
    st.integers(1, 200_000),
    st.integers(1, 200_000),
    st.sampled_from([(1,), (1, 2, 4, 8), (1, 4, 16, 32)]),
)


def test_by_hand() -> None:
    # 1031 x 777: 11 halvings to one pixel. One level up, a tile covers 1024 px: two columns.
    info = info_of(1031, 777)
    assert deepzoom.max_level(info) == 11
    assert grid(info, 11) == (3, 2)
    assert grid(info, 10) == (2, 1)
    edge = zoom_tile(info, 10, col=1, row=0)
    assert edge is not None
    # The second one begins one of its own pixels, two of the slide, inside the first.
    assert (edge.left_px0, edge.top_px0, edge.right_px0, edge.bottom_px0) == (1022, 0, 1031, 777)
    assert edge.size_px == (5, 389)  # 4.5 and 388.5: the last pixel hangs over the border


@pytest.mark.parametrize(("level", "col", "row"), [(-1, 0, 0), (12, 0, 0), (11, 3, 0), (11, 0, -1)])
def test_no_such_tile(level: int, col: int, row: int) -> None:
    assert zoom_tile(info_of(1031, 777), level, col=col, row=row) is None


def check_edges(edges: list[tuple[int, int]], length: int, downsample: int) -> None:
    """Without their margins, the tiles cover each pixel of the slide exactly once."""
    margin = OVERLAP_PX * downsample
    last = len(edges) - 1
    own = [
        (low + margin * (i > 0), min(high, length) if i == last else high - margin)
        for i, (low, high) in enumerate(edges)
    ]
    assert own[0][0] == 0
    assert own[-1][1] == length
    assert all(low < high for low, high in own)
    assert all(one[1] == two[0] for one, two in pairwise(own))


@given(st.integers(1, 5000), st.integers(1, 5000), st.data())
def test_neighbours_share_their_margins_and_nothing_else(
    width: int, height: int, data: st.DataObject
) -> None:
    info = info_of(width, height)
    level = data.draw(st.integers(0, deepzoom.max_level(info)))
    downsample = 2 ** (deepzoom.max_level(info) - level)
    cols, rows = grid(info, level)
    tiles = [zoom_tile(info, level, col=col, row=0) for col in range(cols)]
    check_edges([(tile.left_px0, tile.right_px0) for tile in tiles if tile], width, downsample)
    tiles = [zoom_tile(info, level, col=0, row=row) for row in range(rows)]
    check_edges([(tile.top_px0, tile.bottom_px0) for tile in tiles if tile], height, downsample)


@given(slides, st.data())
def test_what_is_read_encloses_the_tile_at_its_scale(info: SlideInfo, data: st.DataObject) -> None:
    finest = deepzoom.max_level(info)
    level = data.draw(st.integers(deepzoom.min_level(info), finest))
    cols, rows = grid(info, level)
    tile = zoom_tile(
        info,
        level,
        col=data.draw(st.integers(0, cols - 1)),
        row=data.draw(st.integers(0, rows - 1)),
    )
    assert tile is not None
    assert tile.size_px[0] <= ZOOM_TILE_PX + 2 * OVERLAP_PX
    assert tile.size_px[1] <= ZOOM_TILE_PX + 2 * OVERLAP_PX
    box = source_box(info, tile)
    left, top, right, bottom = box.box
    assert 0 <= left < 1
    assert 0 <= top < 1
    assert left < right <= box.width_px
    assert top < bottom <= box.height_px
    # One pixel of the tile is `downsample` level-0 pixels, at the border too.
    down = info.width_px0 / info.level_sizes_px[box.level][0]
    assert (right - left) * down / tile.size_px[0] == pytest.approx(tile.downsample)
    assert math.isclose((box.x_px + left) * down, tile.left_px0, abs_tol=1e-6)


@settings(max_examples=60)
@given(slides)
def test_no_tile_needs_more_memory_than_allowed(info: SlideInfo) -> None:
    lowest = deepzoom.min_level(info)
    assert lowest <= deepzoom.max_level(info)
    for level in range(lowest, deepzoom.max_level(info) + 1):
        tile = zoom_tile(info, level, col=0, row=0)
        assert tile is not None
        box = source_box(info, tile)
        assert box.width_px * box.height_px <= MAX_SOURCE_PX


class Ramp:
    """A reader whose pixels say where they are; white beyond the border."""

    def __init__(self, info: SlideInfo) -> None:
        self.info = info

    def read(
        self, level: int, x_px: int, y_px: int, *, width_px: int, height_px: int
    ) -> np.ndarray:
        assert level == 0
        y, x = np.mgrid[y_px : y_px + height_px, x_px : x_px + width_px]
        pixels = np.stack([x // 4, y // 4, np.full_like(x, 7)], axis=-1).astype(np.uint8)
        pixels[(x >= self.info.width_px0) | (y >= self.info.height_px0)] = 255
        return pixels


def test_pixels_lie_where_they_belong() -> None:
    reader = Ramp(info_of(900, 700))
    for level, downsample in ((10, 1), (9, 2)):
        tile = zoom_tile(reader.info, level, col=0, row=0)
        assert tile is not None
        picture = deepzoom.read_zoom_tile(reader, tile).astype(float)  # type: ignore[arg-type]
        assert picture.shape[:2] == tile.size_px[::-1]
        assert picture[100, 200, 0] == pytest.approx(200 * downsample // 4, abs=1)
        assert picture[100, 200, 1] == pytest.approx(100 * downsample // 4, abs=1)
