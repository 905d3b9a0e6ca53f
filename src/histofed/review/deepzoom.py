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
from histofed.errors import SlideError

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
    width_px, height_px = tile.size_px
    right_px0 = tile.left_px0 + width_px * tile.downsample
    bottom_px0 = tile.top_px0 + height_px * tile.downsample
    corners_px0 = (tile.left_px0, tile.top_px0, right_px0, bottom_px0)
    return _box(info, corners_px0, downsample=tile.downsample)


def read_zoom_tile(reader: SlideReader, tile: ZoomTile) -> NDArray[np.uint8]:
    """Read one zoom tile as RGB ``(height, width, 3)``; white where it hangs over the border."""
    return _read(reader, source_box(reader.info, tile), tile.size_px)


def read_square(
    reader: SlideReader, x_px0: int, y_px0: int, *, side_px0: float, px: int
) -> NDArray[np.uint8]:
    """Read a square of the slide as RGB ``(px, px, 3)``; white where it hangs over the border.

    Raises
    ------
    SlideError
        The slide has no level coarse enough to read so large a square from.
    """
    corners_px0 = (x_px0, y_px0, x_px0 + side_px0, y_px0 + side_px0)
    where = _box(reader.info, corners_px0, downsample=side_px0 / px)
    if where.width_px * where.height_px > MAX_SOURCE_PX:
        msg = f"{where.width_px} x {where.height_px} pixels to read for one picture; the slide has "
        msg += "no pyramid"
        raise SlideError(msg)
    return _read(reader, where, (px, px))


def _box(
    info: SlideInfo, corners_px0: tuple[float, float, float, float], *, downsample: float
) -> LevelBox:
    """Return what to read for a rectangle given by left, top, right and bottom."""
    level = level_for_mpp(info, info.mpp * downsample)
    down_x, down_y = downsamples(info, level)
    left, right = corners_px0[0] / down_x, corners_px0[2] / down_x
    top, bottom = corners_px0[1] / down_y, corners_px0[3] / down_y
    x_px, y_px = math.floor(left), math.floor(top)
    return LevelBox(
        level=level,
        x_px=x_px,
        y_px=y_px,
        width_px=math.ceil(right) - x_px,
        height_px=math.ceil(bottom) - y_px,
        box=(left - x_px, top - y_px, right - x_px, bottom - y_px),
    )


def _read(reader: SlideReader, where: LevelBox, size_px: tuple[int, int]) -> NDArray[np.uint8]:
    pixels = reader.read(
        where.level, where.x_px, where.y_px, width_px=where.width_px, height_px=where.height_px
    )
    source_px = (where.width_px, where.height_px)
    whole = where.box == (0, 0, *source_px)
    if whole and source_px == size_px:
        return pixels
    picture = Image.fromarray(pixels)
    ratio = source_px[0] // size_px[0]
    if whole and source_px == (ratio * size_px[0], ratio * size_px[1]):
        return np.asarray(picture.reduce(ratio))  # the same mean, nine times as fast
    # Hamming: nearly as sharp as a box filter, without its shifts at odd ratios.
    return np.asarray(picture.resize(size_px, Image.Resampling.HAMMING, box=where.box))


def _extent_px0(info: SlideInfo, level: int) -> tuple[int, int]:
    """Return the level-0 size of the largest zoom tile of a zoom level."""
    side_px0 = (ZOOM_TILE_PX + 2 * OVERLAP_PX) << (max_level(info) - level)
    return min(side_px0, info.width_px0), min(side_px0, info.height_px0)
