"""TRIDENT: ``patches/<slide>_patches.h5`` and ``features_<encoder>/<slide>.h5``.

Positions are level-0 pixels. The side of a tile there is ``patch_size_level0``: at a 40x slide
tiled at 20x it is twice ``patch_size``. The slide's microns per pixel are not stored. Older files
have ``patch_size`` and ``patch_level`` instead: at level 0 that is enough.

Specification: the files written by TRIDENT 0.2 (Zhang et al. 2025, arXiv:2502.06750).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.io.atomic import file_digest
from histofed.io.interop.detect import slide_id_of
from histofed.io.interop.export import export_h5, no_place, plain_name, positions, write_rows
from histofed.io.interop.foreign import ForeignTiles, Supplied
from histofed.io.interop.reading import (
    agreed,
    check_inside,
    corners_of,
    encoder_of,
    features_of,
    mpp_of,
    number,
    open_foreign,
    text,
    whole,
    whole_px0,
)
from histofed.io.store import SlideFeatures, SlideTiles, trident_attributes

if TYPE_CHECKING:
    from pathlib import Path

    import h5py

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
        features = features_of(file, "features")
        corners = corners_of(file, n_features=None if features is None else len(features))
        coords = file["coords"]
        slide_id = slide_id_of(path)
        agreed(path, "the unit", found="px0", supplied=supplied.coords_unit, option="coords_unit")
        size = whole(coords, "patch_size")
        size_px = agreed(
            path, "patch_size", found=size, supplied=supplied.tile_px, option="tile_px"
        )
        side_px0 = agreed(
            path,
            "the side of a tile in level-0 pixels (patch_size_level0)",
            found=_side_px0(coords, size_px),
            supplied=supplied.tile_px0,
            option="tile_px0",
        )
        encoder = ""
        if features is not None:
            encoder = encoder_of(path, text(file["features"], "encoder"), supplied)
        width, height = whole(coords, "level0_width"), whole(coords, "level0_height")
        overlap_px, power = (
            whole(coords, "overlap", zero=True),
            number(coords, "level0_magnification"),
        )
        magnification = number(coords, "target_magnification")
    coords_N2 = whole_px0(path, corners)
    check_inside(path, coords_N2, width, height)
    mpp = mpp_of(path, slide_id, supplied)
    return ForeignTiles(
        slide_id=slide_id,
        origin="trident",
        source_digest=file_digest(path),
        features_ND=features,
        coords_N2=coords_N2,
        encoder=encoder,
        mpp=mpp,
        size_px=size_px,
        tile_mpp=side_px0 * mpp / size_px,
        side_px0=side_px0,
        overlap_px=overlap_px or 0,
        width_px0=width,
        height_px0=height,
        objective_power=power,
        made_by={} if magnification is None else {"target_magnification": magnification},
    )


def _side_px0(coords: h5py.Dataset, size_px: int) -> float | None:
    """Return the side in level-0 pixels; older files say it only of tiles of level 0."""
    side_px0 = number(coords, "patch_size_level0")
    old_level = number(coords, "patch_level", zero=True)
    shrunk = number(coords, "custom_downsample") or 1
    if side_px0 is None and old_level == 0 and shrunk == 1:
        return float(size_px)
    return side_px0


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
