"""The whole slide in one small picture, where some of it may be unreadable."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histofed.core.tiling import downsamples, level_for_mpp
from histofed.errors import SlideUnreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.io.readers import SlideReader

BLOCK_UM = 128.0
"""A damaged slide is read in blocks of this side, so that damage costs only what it touches."""

MOST_PX = 2**28
"""Largest level that is read for a picture alone, which takes two or three seconds."""


def overview(reader: SlideReader, mpp: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the slide as RGB at ``mpp``, and where it could not be read ``(H, W)``.

    What cannot be read is white in the picture and True in the second answer.
    """
    try:
        thumbnail = reader.thumbnail(mpp)
    except SlideUnreadable:
        return _in_blocks(reader, mpp)
    return thumbnail, np.zeros(thumbnail.shape[:2], dtype=np.bool_)


def backdrop(
    reader: SlideReader, thumbnail_HW3: NDArray[np.uint8], *, thumbnail_mpp: float, longer_px: int
) -> tuple[NDArray[np.uint8], float]:
    """Return the slide as RGB for a picture of it, and that picture's microns per pixel.

    It is read again only where ``thumbnail_HW3``, which was read to find tissue, is smaller than
    the picture, and from no level so large that it would cost more than it shows.

    Parameters
    ----------
    thumbnail_HW3
        The whole slide at ``thumbnail_mpp``.
    longer_px
        Longer side of the picture.
    """
    info = reader.info
    sizes_px = info.level_sizes_px
    few = [level for level, (width, height) in enumerate(sizes_px) if width * height <= MOST_PX]
    if few:
        finest_mpp = info.mpp * max(downsamples(info, few[0]))
        mpp = max(finest_mpp, info.mpp * max(sizes_px[0]) / longer_px)
        if mpp < thumbnail_mpp:
            return overview(reader, mpp)[0], mpp
    return thumbnail_HW3, thumbnail_mpp


def _in_blocks(reader: SlideReader, mpp: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    info = reader.info
    level = level_for_mpp(info, mpp)
    width_px, height_px = info.level_sizes_px[level]
    scales = [mpp / info.mpp / down for down in downsamples(info, level)]  # level px per pixel
    height, width = (
        math.ceil(length_px0 * info.mpp / mpp) for length_px0 in (info.height_px0, info.width_px0)
    )
    picture = np.full((height, width, 3), 255, dtype=np.uint8)
    unreadable = np.zeros((height, width), dtype=np.bool_)
    step = max(round(BLOCK_UM / mpp), 1)
    for top in range(0, height, step):
        for left in range(0, width, step):
            rows, columns = slice(top, top + step), slice(left, left + step)
            block = picture[rows, columns]
            x, right = left * scales[0], min((left + block.shape[1]) * scales[0], width_px)
            y, bottom = top * scales[1], min((top + block.shape[0]) * scales[1], height_px)
            x_px, y_px = math.floor(x), math.floor(y)
            size_px = (math.ceil(right) - x_px, math.ceil(bottom) - y_px)
            try:
                pixels = reader.read(level, x_px, y_px, width_px=size_px[0], height_px=size_px[1])
            except SlideUnreadable:
                unreadable[rows, columns] = True
                continue
            box = (x - x_px, y - y_px, right - x_px, bottom - y_px)
            block[:] = np.asarray(
                Image.fromarray(pixels).resize(block.shape[1::-1], Image.Resampling.BOX, box=box)
            )
    return picture, unreadable
