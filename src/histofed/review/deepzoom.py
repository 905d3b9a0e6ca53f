"""Deep Zoom arithmetic: which pixels of a slide make up one tile of the viewer.

A viewer tile ("zoom tile") is a square of a power-of-two pyramid, and has nothing to do with the
tiles a model saw. At zoom level ``z`` one pixel covers exactly ``2 ** (max_level - z)`` level-0
pixels a side, so zoom tiles begin and end at whole level-0 pixels: none is left out, and what is
drawn on top in level-0 pixels lies where it belongs. A zoom tile carries `OVERLAP_PX` pixels of
each neighbour, over which the viewer draws it, so that no seam shows where two meet under rotation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histofed.core.tiling import LevelBox, downsamples, level_for_mpp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo
    from histofed.io.readers import SlideReader

ZOOM_TILE_PX = 512
OVERLAP_PX = 1
MAX_SOURCE_PX = (8 * (ZOOM_TILE_PX + 2 * OVERLAP_PX)) ** 2
"""Most slide pixels read for one zoom tile; it keeps a slide without a pyramid out of memory."""


@dataclass(frozen=True, slots=True)
class ZoomTile:
    """One zoom tile.

    Attributes
    ----------
    left_px0, top_px0, right_px0, bottom_px0
        What it shows with its margins, in level-0 pixels, clipped at the border of the slide.
    downsample
        Level-0 pixels per pixel of the zoom tile.
    """

    left_px0: int
    top_px0: int
    right_px0: int
    bottom_px0: int
    downsample: int

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the picture; its last pixels may hang over the border."""
        return (
            math.ceil((self.right_px0 - self.left_px0) / self.downsample),
            math.ceil((self.bottom_px0 - self.top_px0) / self.downsample),
        )


def max_level(info: SlideInfo) -> int:
    """Return the zoom level of full resolution; at zoom level 0 the slide is one pixel."""
    return (max(info.width_px0, info.height_px0) - 1).bit_length()


def min_level(info: SlideInfo) -> int:
    """Return the coarsest zoom level whose tiles can be made from `MAX_SOURCE_PX` or fewer."""
    finest = max_level(info)
    for level in range(finest, -1, -1):
        box = source_box(info, ZoomTile(0, 0, *_extent_px0(info, level), 1 << (finest - level)))
        if box.width_px * box.height_px > MAX_SOURCE_PX:
            return level + 1
    return 0


def grid(info: SlideInfo, level: int) -> tuple[int, int]:
    """Return the columns and rows of zoom tiles at a zoom level."""
    side_px0 = ZOOM_TILE_PX << (max_level(info) - level)
    return -(-info.width_px0 // side_px0), -(-info.height_px0 // side_px0)


def zoom_tile(info: SlideInfo, level: int, *, col: int, row: int) -> ZoomTile | None:
    """Return a zoom tile, or None where the slide has no such tile."""
    if not 0 <= level <= max_level(info):
        return None
    cols, rows = grid(info, level)
    if not (0 <= col < cols and 0 <= row < rows):
        return None
    downsample = 1 << (max_level(info) - level)
    side_px0, margin_px0 = ZOOM_TILE_PX * downsample, OVERLAP_PX * downsample
    left, top = col * side_px0, row * side_px0
    return ZoomTile(
        left_px0=max(left - margin_px0, 0),
        top_px0=max(top - margin_px0, 0),
        right_px0=min(left + side_px0 + margin_px0, info.width_px0),
        bottom_px0=min(top + side_px0 + margin_px0, info.height_px0),
        downsample=downsample,
    )


def source_box(info: SlideInfo, tile: ZoomTile) -> LevelBox:
    """Return what to read for a zoom tile: the coarsest level that is fine enough, and where."""
    level = level_for_mpp(info, info.mpp * tile.downsample)
    down_x, down_y = downsamples(info, level)
    width_px, height_px = tile.size_px
    left, top = tile.left_px0 / down_x, tile.top_px0 / down_y
    right = (tile.left_px0 + width_px * tile.downsample) / down_x
    bottom = (tile.top_px0 + height_px * tile.downsample) / down_y
    x_px, y_px = math.floor(left), math.floor(top)
    return LevelBox(
        level=level,
        x_px=x_px,
        y_px=y_px,
        width_px=math.ceil(right) - x_px,
        height_px=math.ceil(bottom) - y_px,
        box=(left - x_px, top - y_px, right - x_px, bottom - y_px),
    )


def read_zoom_tile(reader: SlideReader, tile: ZoomTile) -> NDArray[np.uint8]:
    """Read one zoom tile as RGB ``(height, width, 3)``; white where it hangs over the border."""
    where = source_box(reader.info, tile)
    pixels = reader.read(
        where.level, where.x_px, where.y_px, width_px=where.width_px, height_px=where.height_px
    )
    picture = Image.fromarray(pixels)
    # Hamming: nearly as sharp as a box filter, without its shifts at odd ratios.
    return np.asarray(picture.resize(tile.size_px, Image.Resampling.HAMMING, box=where.box))


def _extent_px0(info: SlideInfo, level: int) -> tuple[int, int]:
    """Return the level-0 size of the largest zoom tile of a zoom level."""
    side_px0 = (ZOOM_TILE_PX + 2 * OVERLAP_PX) << (max_level(info) - level)
    return min(side_px0, info.width_px0), min(side_px0, info.height_px0)
