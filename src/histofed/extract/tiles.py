"""The tiles of a slide: which are kept, and reading them.

Suffixes: N tiles, H x W pixels, 3 RGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histofed.core.tiling import box_means, check_resolution, full_grid, level_box
from histofed.errors import NoTissue
from histofed.extract.tissue.base import check_mask
from histofed.io.store import Recipe, Record, SlideTiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from histofed.core.tiling import TileSpec
    from histofed.extract.tissue import TissueMethod
    from histofed.io.readers import SlideReader

RESAMPLING = Image.Resampling.BILINEAR
"""Pillow's triangle filter: it widens when it shrinks, so nothing is skipped. Its name is part of
every recipe."""


def tile_recipe(spec: TileSpec, tissue: TissueMethod) -> Recipe:
    """Return the recipe of a tile file: tiles and tissue, no encoder yet."""
    return Recipe(spec=spec, tissue=tissue.record, resampling=RESAMPLING.name.lower())


def tile_slide(
    reader: SlideReader, slide_id: str, *, slide_digest: str, spec: TileSpec, tissue: TissueMethod
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
    mask = check_mask(
        tissue.mask(thumbnail, slide_id=slide_id, info=info),
        thumbnail,
        method=type(tissue).__name__,
        slide_id=slide_id,
    )
    coords_N2 = full_grid(spec, info)
    tissue_N = box_means(mask, coords_N2, spec.side_px0(info.mpp), tissue.mpp / info.mpp)
    kept = tissue_N >= spec.least_tissue
    if not kept.any():
        most = f"{tissue_N.max():.0%}" if len(tissue_N) else "no whole tile fits; it holds 0%"
        msg = (
            f"slide {slide_id}: no tile of {spec.side_um:g} um is at least "
            f"{spec.least_tissue:.0%} tissue (the fullest: {most}); lower tiling.min_tissue or "
            "tiling.min_tissue_um2, choose another tissue=..., or look at the slide"
        )
        raise NoTissue(msg)
    record = Record.of(
        tile_recipe(spec, tissue),
        slide_id,
        slide_digest,
        info,
        source_digest=tissue.source_digest(slide_id),
    )
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
    size = (spec.size_px, spec.size_px)
    return np.asarray(Image.fromarray(pixels).resize(size, RESAMPLING, box=area.box))


def read_batches(
    reader: SlideReader, spec: TileSpec, coords_N2: NDArray[np.int64], *, batch_size: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield the tiles in order, as RGB batches of at most ``batch_size``."""
    for start in range(0, len(coords_N2), batch_size):
        corners = coords_N2[start : start + batch_size]
        batch = np.empty((len(corners), spec.size_px, spec.size_px, 3), dtype=np.uint8)
        for tile, (x_px0, y_px0) in zip(batch, corners.tolist(), strict=True):
            tile[:] = read_tile(reader, spec, x_px0, y_px0)
        yield batch
