"""STAMP: ``<encoder>-<hash>/<slide>.h5``, features with positions in microns.

``feats`` and ``coords`` (top-left, microns); root attributes ``unit`` (``um``), ``tile_size_um``
(``tile_size`` before 2.1), ``tile_size_px``, ``extractor``, ``code_hash``, ``stamp_version`` and
``feat_type``. Version 1 wrote pixels of 256/224 microns and no unit: that is read when the user
says so, never because the numbers look like it.

Specification: the files written by STAMP 2.1 (El Nahhas et al. 2025,
doi:10.1038/s41596-024-01047-2).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from histofed.errors import StoreError
from histofed.io.atomic import file_digest
from histofed.io.interop.asking import Asked
from histofed.io.interop.consistency import Side, check_mpp, checked_overlap_px, grid_step
from histofed.io.interop.detect import slide_id_of
from histofed.io.interop.export import export_h5, plain_name, positions, write_rows
from histofed.io.interop.foreign import ForeignTiles
from histofed.io.interop.pixels import Placing, Tiling, ask_px0, place
from histofed.io.interop.reading import (
    check_inside,
    coords_of,
    corners_of,
    features_of,
    number,
    open_foreign,
    text,
    whole,
)
from histofed.io.store import SlideFeatures

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

    from histofed.io.interop.foreign import Supplied
    from histofed.io.store import Record, SlideTiles

V1_SIDE_UM, V1_SIDE_PX = 256.0, 224
"""A tile of version 1, whose positions are pixels of that tile."""

LAYOUT_VERSION = "2.1.0"
"""The version of STAMP whose layout we write; a reader refuses what is newer than itself."""


class _PlacingUm(NamedTuple):
    """What must be known to place tiles whose positions are ``um_per_unit`` microns."""

    size_px: int
    side: Side
    side_um: float
    mpp: float
    um_per_unit: float


def read(path: Path, supplied: Supplied) -> ForeignTiles:
    """Read features with their positions.

    Raises
    ------
    StoreError
        Damaged, an embedding of a whole slide, or without unit or size of the tiles.
    MissingMpp
        The slide's resolution was not supplied: microns do not say which pixel.
    NoTissue
        There is no tile.
    """
    with open_foreign(path) as file:
        asked = Asked(path, supplied)
        placing, encoder = ask(file, asked)
        asked.refuse()
        features = features_of(file, "feats")
        if features is None:
            msg = f"{path}: there is no data set feats, which a file of STAMP has; name another "
            msg += "format, or give positions up (format=features_only)"
            raise StoreError(msg)
        corners = corners_of(file, n_features=len(features))
        code_hash = text(file, "code_hash")
    if isinstance(placing, Placing):
        placed = place(path, corners, placing, supplied, origin="stamp")
    else:
        placed = _place_um(path, corners, placing, supplied)
    return replace(
        placed,
        features_ND=features,
        encoder=encoder,
        made_by={} if code_hash is None else {"code_hash": code_hash},
    )


def ask(file: h5py.File, asked: Asked) -> tuple[Placing | _PlacingUm, str]:
    """Ask for what the file leaves open; return what places its tiles, and the encoder.

    Raises
    ------
    StoreError
        It holds an embedding, or damaged attributes.
    """
    _refuse_embedding(file)
    unit, size_px, corners = _unit(file), whole(file, "tile_size_px"), coords_of(file)
    unit = asked.agreed(
        "the unit of its coords (px0: level-0 pixels, then with tile_px and tile_px0; um: microns, "
        "then with tile_px and tile_mpp; stamp_v1: pixels of 256/224 microns)",
        found=unit,
        supplied=asked.supplied.coords_unit,
        option="coords_unit",
        example="px0" if corners.dtype.kind in "iu" else "um",
    )
    placing: Placing | _PlacingUm
    if unit == "px0":
        placing = ask_px0(asked, Tiling(size_px=size_px), file, size_px=V1_SIDE_PX)
    else:
        placing = _ask_um(asked, file, size_px, first=unit == "stamp_v1")
    return placing, asked.encoder(text(file, "extractor"))


def _ask_um(asked: Asked, file: h5py.File, size_px: int | None, *, first: bool) -> _PlacingUm:
    """Ask for what a file that counts microns leaves open; ``first`` for the unit of version 1."""
    supplied = asked.supplied
    if supplied.tile_px0 is not None:
        msg = f"{asked.path}: its tiles are measured in microns and tile_px0="
        msg += f"{supplied.tile_px0:g} was given; leave the option out"
        raise StoreError(msg)
    size_px = asked.agreed(
        "how many pixels a side its tiles have (tile_size_px)",
        found=V1_SIDE_PX if first else size_px,
        supplied=supplied.tile_px,
        option="tile_px",
        example=V1_SIDE_PX,
    )
    given, fitting = ("coords_unit=stamp_v1", "another coords_unit") if first else ("", "")
    side_um = V1_SIDE_UM if first else _side_um(file)
    if side_um is None:
        open_side = supplied.tile_mpp is None
        tile_mpp = asked.agreed(
            "the side of a tile in microns (tile_size_um: tile_px x tile_mpp)",
            found=None,
            supplied=supplied.tile_mpp,
            option="tile_mpp",
            example=((open_side and grid_step(file)) or V1_SIDE_UM) / size_px,
        )
        side_um, given = size_px * tile_mpp, f"tile_px={size_px} x tile_mpp={tile_mpp:g}"
        fitting = "another tile_mpp, or coords_unit"
    mpp = asked.mpp()
    return _PlacingUm(
        size_px=size_px,
        side=Side(side_um / mpp, given=given, fitting=fitting),
        side_um=side_um,
        mpp=mpp,
        um_per_unit=V1_SIDE_UM / V1_SIDE_PX if first else 1.0,
    )


def _place_um(
    path: Path, corners_N2: NDArray[np.float64], placing: _PlacingUm, supplied: Supplied
) -> ForeignTiles:
    """Return the tiles, without features yet."""
    size_px, side, side_um, mpp, um_per_unit = placing
    tile_mpp = side_um / size_px
    check_mpp(path, mpp, tile_mpp=tile_mpp)
    coords_N2 = np.rint(corners_N2 * um_per_unit / mpp).astype(np.int64)
    width_px0, height_px0 = check_inside(path, coords_N2, (None, None), supplied)
    return ForeignTiles(
        slide_id=slide_id_of(path),
        origin="stamp",
        source_digest=file_digest(path),
        features_ND=None,
        coords_N2=coords_N2,
        mpp=mpp,
        size_px=size_px,
        tile_mpp=tile_mpp,
        overlap_px=checked_overlap_px(
            path, coords_N2, side=side, size_px=size_px, said_px=supplied.overlap_px
        ),
        width_px0=width_px0,
        height_px0=height_px0,
    )


def _unit(file: h5py.File) -> str | None:
    """Return the unit of positions as the file says it: microns, or not at all."""
    unit = text(file, "unit")
    if unit not in (None, "um"):
        msg = f"{file.filename}: attribute unit is {unit!r}; STAMP writes 'um'"
        raise StoreError(msg)
    return "um" if number(file, "tile_size_um") is not None else unit  # the name says so


def _side_um(file: h5py.File) -> float | None:
    """Return the side of a tile as the file says it; before 2.1 its name has no unit."""
    side_um = number(file, "tile_size_um")
    return number(file, "tile_size") if side_um is None and _unit(file) else side_um


def _refuse_embedding(file: h5py.File) -> None:
    """Refuse one vector per slide or patient: absent ``feat_type`` and ``encoder`` means tiles."""
    kind = text(file, "feat_type")
    if kind not in (None, "tile") or (kind is None and "encoder" in file.attrs):
        msg = f"{file.filename}: it holds an embedding of a {kind or 'slide'}, not features of "
        msg += "tiles; convert the files that it was made from"
        raise StoreError(msg)


def targets(folder: Path, record: Record, *, features: bool) -> tuple[Path, ...]:
    """Return the one file of a slide."""
    if not features:
        msg = f"{record.slide_id}: STAMP has no files of positions alone; convert features"
        raise StoreError(msg)
    return (folder / f"{plain_name(record)}-{_code_hash(record)}" / f"{record.slide_id}.h5",)


def write(folder: Path, slide: SlideFeatures | SlideTiles) -> None:
    """Write features with positions in microns, in STAMP's folder."""
    record = slide.record
    (path,) = targets(folder, record, features=isinstance(slide, SlideFeatures))
    coords_N2 = positions(slide, "STAMP")
    spec, mpp = record.recipe.spec, record.mpp
    # `targets` refuses tiles without features, `positions` those without a physical size.
    assert isinstance(slide, SlideFeatures)
    assert spec is not None
    assert mpp is not None
    measured = record.tile_side_px0
    with export_h5(path, record) as file:
        write_rows(file, "feats", slide.features_ND)
        write_rows(file, "coords", (coords_N2 * mpp).astype(np.float32))
        file.attrs["stamp_version"] = LAYOUT_VERSION
        file.attrs["extractor"] = record.recipe.encoder
        file.attrs["unit"] = "um"
        file.attrs["tile_size_um"] = spec.side_um if measured is None else measured * mpp
        file.attrs["tile_size_px"] = spec.size_px
        file.attrs["code_hash"] = _code_hash(record)
        file.attrs["feat_type"] = "tile"


def _code_hash(record: Record) -> str:
    """Return eight digits that differ where features were made otherwise, as STAMP's do."""
    return record.recipe.digest[:8]
