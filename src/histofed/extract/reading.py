"""Reading tiles: one, or many in batches.

Suffixes: N tiles, B tiles of a batch, H x W pixels, 3 RGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.core.tiling import level_box, level_boxes
from histofed.extract.resampling import resampled, resampled_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
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
    skip_damaged: bool = False,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield tiles in batches of at most ``batch_size``, in the order that reads fastest.

    Parameters
    ----------
    skip_damaged
        Leave out the tiles that lie, to within a pixel, where the slide is damaged, and only those.

    Yields
    ------
    numbers_B, tiles_BHW3
        Rows of ``coords_N2``, and their tiles as RGB: those of `read_tile` to within two grey
        levels. Each tile comes once.

    Raises
    ------
    SlideUnreadable
        A tile cannot be read, unless ``skip_damaged``.
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
        skip_damaged=skip_damaged,
    ):
        yield numbers_B, resampled_batch(pixels_BHW3, areas, numbers_B, spec.size_px)
