"""Reading tiles: one, many in batches, or as many as a damaged slide has left.

Suffixes: N tiles, B tiles of a batch, H x W pixels, 3 RGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.core.tiling import level_box, level_boxes
from histofed.errors import SlideUnreadable
from histofed.extract.resampling import resampled, resampled_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from histofed.core.tiling import TileSpec
    from histofed.io.readers import SlideReader


def read_tile(reader: SlideReader, spec: TileSpec, x_px0: int, y_px0: int) -> NDArray[np.uint8]:
    """Read one tile as RGB ``(size_px, size_px, 3)`` covering exactly ``spec.side_um``."""
    area = level_box(spec, reader.info, x_px0, y_px0)
    pixels = reader.read(
        area.level, area.x_px, area.y_px, width_px=area.width_px, height_px=area.height_px
    )
    return resampled(pixels, area.box, spec.size_px)


def read_batches(
    reader: SlideReader,
    spec: TileSpec,
    coords_N2: NDArray[np.int64],
    *,
    batch_size: int,
    threads: int = 0,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield tiles in batches of at most ``batch_size``, in the order that reads fastest.

    Yields
    ------
    numbers_B, tiles_BHW3
        Rows of ``coords_N2``, and their tiles as RGB: those of `read_tile` to within two grey
        levels. Each tile comes once.
    """
    areas = level_boxes(spec, reader.info, coords_N2)
    width_px, height_px = areas.sizes_N2.max(axis=0, initial=1).tolist()
    for numbers_B, pixels_BHW3 in reader.read_many(
        areas.level,
        areas.corners_N2,
        width_px=width_px,
        height_px=height_px,
        batch_size=batch_size,
        threads=threads,
    ):
        yield numbers_B, resampled_batch(pixels_BHW3, areas, numbers_B, spec.size_px)


def read_what_can_be(
    reader: SlideReader, spec: TileSpec, coords_N2: NDArray[np.int64], *, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield tiles as `read_batches` does, leaving out those that lie where a slide is damaged."""
    seen_N = np.zeros(len(coords_N2), dtype=np.bool_)
    try:
        for numbers_B, tiles_BHW3 in read_batches(reader, spec, coords_N2, batch_size=batch_size):
            seen_N[numbers_B] = True
            yield numbers_B, tiles_BHW3
    except SlideUnreadable:
        # One by one, then: a batch does not say which of its tiles it was.
        for number in np.flatnonzero(~seen_N):
            try:
                tile = read_tile(reader, spec, *coords_N2[number].tolist())
            except SlideUnreadable:
                continue
            yield np.array([number]), tile[None]
