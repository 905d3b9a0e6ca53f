"""The tiles of a slide: which are kept, and reading them.

Suffixes: N tiles, H x W pixels, 3 RGB.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.coverage import box_means, n_over_border
from histofed.core.quality import FLAGS, bits, first_flag
from histofed.core.steps import to_the_end
from histofed.core.tiling import TileSpec, check_resolution, check_size, full_grid
from histofed.core.words import counted
from histofed.errors import NoTissue, OffStain, SlideUnreadable
from histofed.extract.overview import overview
from histofed.extract.quality import QualitySpec, flags_of, foreign_light
from histofed.extract.reading import read_batches
from histofed.extract.resampling import RESAMPLING
from histofed.extract.tissue.base import check_mask
from histofed.io.store import DroppedTiles, Recipe, Record, SlideTiles

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo
    from histofed.extract.tissue import TissueMethod
    from histofed.io.readers import SlideReader

LOOK_BATCH = 64
"""Tiles looked at for quality at a time: 2 MB at 2 um per pixel."""


def tile_recipe(spec: TileSpec, tissue: TissueMethod, quality: QualitySpec | None = None) -> Recipe:
    """Return the recipe of a tile file: tiles, tissue and quality, no encoder yet."""
    return Recipe(
        spec=spec,
        tissue=tissue.record,
        resampling=RESAMPLING,
        quality=quality.record if quality else {},
    )


def tile_steps(
    reader: SlideReader,
    slide_id: str,
    *,
    slide_digest: str,
    spec: TileSpec,
    tissue: TissueMethod,
    quality: QualitySpec | None = None,
) -> Generator[float, None, tuple[SlideTiles, NDArray[np.uint8], NDArray[np.bool_]]]:
    """Find the tiles of a slide that hold enough tissue, and what is wrong with them, in steps.

    Parameters
    ----------
    quality
        What to look for and what to drop; None looks for nothing.

    Returns
    -------
    tiles
        Kept tiles, row by row, and the dropped ones.
    thumbnail, mask
        The whole slide and its tissue at ``tissue.mpp``, for the overlay picture.

    Raises
    ------
    NoTissue
        No tile holds enough tissue, or none without a flaw that drops it.
    OffStain
        The slide was not seen in white light through a stain.
    SlideUnreadable
        Too much of the slide cannot be read.
    SlideError
        The slide is too coarse for what is asked, or smaller than a tile.
    """
    info = reader.info
    _check_asked(spec, tissue, quality, info=info, slide_id=slide_id)
    thumbnail, unreadable = overview(reader, tissue.mpp)
    light = _check_light(thumbnail, slide_id, quality)
    mask = tissue_mask(tissue, thumbnail, slide_id=slide_id, info=info)
    coords_N2 = full_grid(spec, info)
    side_px0, px0_per_px = spec.side_px0(info.mpp), tissue.mpp / info.mpp
    tissue_N = box_means(mask, coords_N2, side_px0, px0_per_px)
    lost_N = box_means(unreadable, coords_N2, side_px0, px0_per_px) > 0
    found = (tissue_N >= spec.least_tissue) | lost_N
    if info.images and spec.images == "cells":
        found[:] = True  # a cell is not searched for: its image is of it
    if not found.any():
        msg = f"slide {slide_id}: no tile of {spec.side_um:g} um is at least "
        msg += f"{spec.least_tissue:.0%} tissue (the fullest: {tissue_N.max():.0%}); "
        if info.images:
            both = " tiling.min_tissue_um2=0" * (spec.min_tissue_um2 > 0)
            msg += "of fields that a person chose, however few cells are in them, every tile is "
            msg += f"taken with tiling.min_tissue=0{both}; or choose another tissue=..."
        else:
            msg += "lower tiling.min_tissue or tiling.min_tissue_um2, choose another tissue=..., "
            msg += "or look at the slide"
        raise NoTissue(msg)
    record = Record.of(
        tile_recipe(spec, tissue, quality),
        slide_id,
        slide_digest,
        info,
        source_digest=tissue.source_digest(slide_id),
    )
    tiles = SlideTiles(
        record=record,
        coords_N2=coords_N2[found],
        tissue_N=tissue_N[found].astype(np.float32),
        n_over_border=n_over_border(spec, info, mask, px0_per_px),
    )
    if quality is not None:
        known_N = _unreadable(lost_N[found]) | light
        tiles = yield from _sorted_out(reader, tiles, quality=quality, known_N=known_N)
    elif lost_N.any():
        msg = f"slide {slide_id}: parts of it cannot be read; copy it again"
        raise SlideUnreadable(msg)
    return tiles, thumbnail, mask


tile_slide = to_the_end(tile_steps)
"""The same in one go."""


def _check_asked(
    spec: TileSpec,
    tissue: TissueMethod,
    quality: QualitySpec | None,
    *,
    info: SlideInfo,
    slide_id: str,
) -> None:
    """Refuse, before any pixel is read, what the slide is too coarse or too small for."""
    check_resolution(spec.mpp, info, slide_id, option="tiling.mpp")
    check_resolution(tissue.mpp, info, slide_id, option="tissue.mpp")
    if quality is not None:
        look = _coarse(spec, quality)
        check_resolution(look.mpp, info, slide_id, option="quality.mpp")
    check_size(spec, info, slide_id)


def _coarse(spec: TileSpec, quality: QualitySpec) -> TileSpec:
    """Return the same tiles as they are looked at for quality."""
    size_px = max(round(spec.side_um / quality.mpp), 1)
    return TileSpec(size_px=size_px, mpp=spec.side_um / size_px)


def tissue_mask(
    tissue: TissueMethod, thumbnail_HW3: NDArray[np.uint8], *, slide_id: str, info: SlideInfo
) -> NDArray[np.bool_]:
    """Return where a method finds tissue, checked: a learned one may come from elsewhere."""
    mask = tissue.mask(thumbnail_HW3, slide_id=slide_id, info=info)
    return check_mask(mask, thumbnail_HW3, method=type(tissue).__name__, slide_id=slide_id)


def _unreadable(which_N: NDArray[np.bool_]) -> NDArray[np.uint16]:
    return np.where(which_N, bits(["unreadable"]), 0).astype(np.uint16)


def _check_light(
    thumbnail: NDArray[np.uint8], slide_id: str, quality: QualitySpec | None
) -> np.uint16:
    """Return the flag that all tiles of a slide have for its light.

    Raises
    ------
    OffStain
        There is such a flag, and it was not allowed.
    """
    reason = foreign_light(thumbnail) if quality else ""
    if not reason or quality is None:
        return np.uint16(0)
    if not quality.allow_off_stain:
        msg = (
            f"slide {slide_id}: not white light through a stain: {reason}; leave the slide out, or "
            "let it through with its tiles flagged (quality.allow_off_stain=true) and its tissue "
            "drawn (tissue=regions): in such colours tissue may be taken for glass, or glass for it"
        )
        raise OffStain(msg)
    return np.uint16(bits(["off_stain"]))


def _sorted_out(
    reader: SlideReader, tiles: SlideTiles, *, quality: QualitySpec, known_N: NDArray[np.uint16]
) -> Generator[float, None, SlideTiles]:
    """Return the tiles with their flags, those that a flag drops apart from the others.

    Parameters
    ----------
    known_N
        Flags that each tile has already.

    Raises
    ------
    NoTissue, SlideUnreadable
        No tile is left; or more tiles are unreadable than ``quality.max_unreadable``.
    """
    lost_N = known_N & bits(["unreadable"]) > 0
    seen_N = yield from _looked_at(reader, tiles, quality, skip_N=lost_N)
    return _split(tiles, known_N | seen_N, quality)


def without_unreadable(
    reader: SlideReader, tiles: SlideTiles, *, quality: QualitySpec
) -> SlideTiles:
    """Return the tiles once each was read as the encoder will, those that cannot be apart.

    The coarse look reads another level of the pyramid; damage may be in one level only.

    Raises
    ------
    NoTissue, SlideUnreadable
        As `tile_steps`.
    """
    spec, dropped = tiles.record.recipe.spec, tiles.dropped
    assert spec is not None
    assert tiles.flags_N is not None
    assert dropped is not None
    bad_N = np.ones(len(tiles.coords_N2), dtype=np.bool_)
    for numbers_B, _ in read_batches(
        reader, spec, tiles.coords_N2, batch_size=LOOK_BATCH, skip_damaged=True
    ):
        bad_N[numbers_B] = False
    flags_N = np.concatenate([tiles.flags_N | _unreadable(bad_N), dropped.flags_N])
    coords_N2 = np.concatenate([tiles.coords_N2, dropped.coords_N2])
    rows_N = np.lexsort(coords_N2.T)  # row by row, as they were
    every = replace(
        tiles,
        coords_N2=coords_N2[rows_N],
        tissue_N=np.concatenate([tiles.tissue_N, dropped.tissue_N])[rows_N],
    )
    must = replace(quality, drop=(*quality.drop, "unreadable"))
    return _split(every, flags_N[rows_N], must)


def _split(tiles: SlideTiles, flags_N: NDArray[np.uint16], quality: QualitySpec) -> SlideTiles:
    """Return the tiles with their flags, those that a flag drops apart from the others."""
    slide_id = tiles.record.slide_id
    lost = float((flags_N & bits(["unreadable"]) > 0).mean())
    if lost > quality.max_unreadable:
        msg = (
            f"slide {slide_id}: {lost:.0%} of its tiles with tissue cannot be read, more than "
            f"quality.max_unreadable={quality.max_unreadable:g}; the file is damaged: copy it again"
        )
        raise SlideUnreadable(msg)
    kept = flags_N & bits(quality.drop) == 0
    if not kept.any():
        count = Counter(first_flag(flags_N, quality.drop))
        reasons = ", ".join(f"{name} {count[name]}" for name in FLAGS if count[name])
        msg = (
            f"slide {slide_id}: of {counted(len(kept), 'tile')} with tissue all are dropped "
            f"({reasons}); look at the slide, or drop less (quality.drop=[...])"
        )
        raise NoTissue(msg)
    return replace(
        tiles,
        coords_N2=tiles.coords_N2[kept],
        tissue_N=tiles.tissue_N[kept],
        flags_N=flags_N[kept],
        dropped=DroppedTiles(
            coords_N2=tiles.coords_N2[~kept], tissue_N=tiles.tissue_N[~kept], flags_N=flags_N[~kept]
        ),
    )


def _looked_at(
    reader: SlideReader, tiles: SlideTiles, quality: QualitySpec, *, skip_N: NDArray[np.bool_]
) -> Generator[float, None, NDArray[np.uint16]]:
    """Return the flags of each tile, from its pixels at a coarse resolution."""
    asked = tiles.record.recipe.spec
    assert asked is not None
    spec = _coarse(asked, quality)
    flags_N = np.full(len(tiles.coords_N2), bits(["unreadable"]), dtype=np.uint16)
    rows_N = np.flatnonzero(~skip_N)
    n_seen = 0
    for numbers_B, tiles_BHW3 in read_batches(
        reader, spec, tiles.coords_N2[rows_N], batch_size=LOOK_BATCH, skip_damaged=True
    ):
        seen = rows_N[numbers_B]
        flags_N[seen] = flags_of(tiles_BHW3, tiles.tissue_N[seen], mpp=spec.mpp, spec=quality)
        n_seen += len(seen)
        yield n_seen / len(rows_N)
    flags_N[skip_N] = 0
    return flags_N
