"""The tiles of a slide: which are kept, and reading them.

Suffixes: N tiles, H x W pixels, 3 RGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.core.tiling import box_means, check_resolution, full_grid, level_box, level_boxes
from histofed.errors import NoTissue
from histofed.extract.resampling import RESAMPLING, resampled, resampled_batch
from histofed.extract.tissue import TissueSpec, tissue_mask
from histofed.io.store import Recipe, Record, SlideTiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from histofed.core.tiling import TileSpec
    from histofed.io.readers import SlideReader


def tile_recipe(spec: TileSpec, tissue: TissueSpec) -> Recipe:
    """Return the recipe of a tile file: tiles and tissue, no encoder yet."""
    return Recipe(spec=spec, tissue=tissue.record, resampling=RESAMPLING)


def tile_slide(
    reader: SlideReader, slide_id: str, *, slide_digest: str, spec: TileSpec, tissue: TissueSpec
) -> tuple[SlideTiles, NDArray[np.uint8], NDArray[np.bool_]]:
    """Find the tiles of a slide that hold enough tissue.

    Returns
    -------
    tiles
        Kept tiles, row by row.
    thumbnail, mask
        The whole slide and its tissue at ``tissue.mpp``, for the overlay picture.

    Raises
    ------
    NoTissue
        No tile holds enough tissue.
    SlideError
        The slide is too coarse for the tiles.
    """
    info = reader.info
    check_resolution(spec, info, slide_id)
    thumbnail = reader.thumbnail(tissue.mpp)
    mask = tissue_mask(thumbnail, tissue)
    coords_N2 = full_grid(spec, info)
    tissue_N = box_means(mask, coords_N2, spec.side_px0(info.mpp), tissue.mpp / info.mpp)
    kept = tissue_N >= spec.min_tissue
    if not kept.any():
        most = f"{tissue_N.max():.0%}" if len(tissue_N) else "no whole tile fits; it holds 0%"
        msg = (
            f"slide {slide_id}: no tile of {spec.side_um:g} um is at least {spec.min_tissue:.0%} "
            f"tissue (the fullest: {most}); lower tiling.min_tissue or look at the slide"
        )
        raise NoTissue(msg)
    record = Record.of(tile_recipe(spec, tissue), slide_id, slide_digest, info)
    tiles = SlideTiles(
        record=record, coords_N2=coords_N2[kept], tissue_N=tissue_N[kept].astype(np.float32)
    )
    return tiles, thumbnail, mask


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
