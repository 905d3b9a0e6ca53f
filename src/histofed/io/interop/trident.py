"""TRIDENT: ``patches/<slide>_patches.h5`` and ``features_<encoder>/<slide>.h5``.

Positions are level-0 pixels. The side of a tile there is ``patch_size_level0``: at a 40x slide
tiled at 20x it is twice ``patch_size``. The slide's microns per pixel are not stored. Older files
have ``patch_size`` and ``patch_level`` instead: at level 0 that is enough.

Specification: the files written by TRIDENT 0.2 (Zhang et al. 2025, arXiv:2502.06750).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from histofed.io.interop.asking import Asked
from histofed.io.interop.export import export_h5, no_place, plain_name, positions, write_rows
from histofed.io.interop.pixels import Placing, Tiling, ask_px0, place
from histofed.io.interop.reading import (
    coords_of,
    corners_of,
    dataset,
    features_of,
    number,
    open_foreign,
    text,
    whole,
)
from histofed.io.store import SlideFeatures, SlideTiles, trident_attributes

if TYPE_CHECKING:
    from pathlib import Path

    import h5py

    from histofed.io.interop.foreign import ForeignTiles, Supplied
    from histofed.io.store import Record


def read(path: Path, supplied: Supplied) -> ForeignTiles:
    """Read features with their positions, or positions alone.

    Raises
    ------
    StoreError
        Damaged, or the size of the tiles is not said.
    MissingMpp
        The slide's resolution was not supplied.
    NoTissue
        There is no tile.
    """
    with open_foreign(path) as file:
        asked = Asked(path, supplied)
        placing, encoder = ask(file, asked)
        asked.refuse()
        features = features_of(file, "features")
        corners = corners_of(file, n_features=None if features is None else len(features))
    said = placing.tiling.magnification
    return replace(
        place(path, corners, placing, supplied, origin="trident"),
        features_ND=features,
        encoder=encoder,
        made_by={} if said is None else {"target_magnification": said},
    )


def ask(file: h5py.File, asked: Asked) -> tuple[Placing, str]:
    """Ask for what the file leaves open; return what places its tiles, and the encoder."""
    placing = ask_px0(asked, _tiling(coords_of(file)), file)
    features = dataset(file, "features")
    return placing, "" if features is None else asked.encoder(text(features, "encoder"))


def _tiling(coords: h5py.Dataset) -> Tiling:
    size_px, side_px0 = whole(coords, "patch_size"), number(coords, "patch_size_level0")
    level = number(coords, "patch_level", zero=True)
    if side_px0 is None and level == 0 and number(coords, "custom_downsample") in (None, 1):
        side_px0 = size_px  # older files say the side only of tiles of level 0
    return Tiling(
        size_px=size_px,
        side_px0=side_px0,
        width_px0=whole(coords, "level0_width"),
        height_px0=whole(coords, "level0_height"),
        overlap_px=whole(coords, "overlap", zero=True),
        objective_power=number(coords, "level0_magnification"),
        magnification=number(coords, "target_magnification"),
    )


def targets(folder: Path, record: Record, *, features: bool) -> tuple[Path, ...]:
    """Return the files of a slide, in the order in which they are written."""
    found = trident_attributes(record)
    if not found:
        raise no_place(record, "TRIDENT")
    grid = folder / (
        f"{found['target_magnification']}x_{found['patch_size']}px_{found['overlap']}px_overlap"
    )
    tiles = grid / "patches" / f"{record.slide_id}_patches.h5"
    if not features:
        return (tiles,)
    return tiles, grid / f"features_{plain_name(record)}" / f"{record.slide_id}.h5"


def write(folder: Path, slide: SlideFeatures | SlideTiles) -> None:
    """Write positions and, where there are any, features, in TRIDENT's folders."""
    coords_N2 = positions(slide, "TRIDENT")
    record, attributes = slide.record, trident_attributes(slide.record)
    tiles, *encoded = targets(folder, record, features=isinstance(slide, SlideFeatures))
    with export_h5(tiles, record) as file:
        write_rows(file, "coords", coords_N2).attrs.update(attributes)
    if isinstance(slide, SlideFeatures):
        with export_h5(encoded[0], record) as file:
            said = {"name": record.slide_id, "savetodir": ".", "encoder": record.recipe.encoder}
            write_rows(file, "features", slide.features_ND).attrs.update(said)
            write_rows(file, "coords", coords_N2).attrs.update(attributes)
