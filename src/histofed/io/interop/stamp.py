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
from histofed.io.interop.consistency import Side, check_mpp, checked_overlap_px
from histofed.io.interop.detect import slide_id_of
from histofed.io.interop.export import export_h5, plain_name, positions, write_rows
from histofed.io.interop.foreign import ForeignTiles, Supplied
from histofed.io.interop.pixels import Tiling, place
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
)
from histofed.io.store import SlideFeatures

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

    from histofed.io.store import Record, SlideTiles

V1_SIDE_UM, V1_SIDE_PX = 256.0, 224
"""A tile of version 1, whose positions are pixels of that tile."""

LAYOUT_VERSION = "2.1.0"
"""The version of STAMP whose layout we write; a reader refuses what is newer than itself."""


class _Said(NamedTuple):
    """What the root attributes say; None where they are silent."""

    unit: str | None
    side_um: float | None
    size_px: int | None
    encoder: str | None
    code_hash: str | None


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
        _refuse_embedding(file)
        features = features_of(file, "feats")
        if features is None:
            msg = f"{path}: there is no data set feats, which a file of STAMP has; name another "
            msg += "format, or give positions up (format=features_only)"
            raise StoreError(msg)
        corners = corners_of(file, n_features=len(features))
        said = _said(file)
    unit = agreed(
        path,
        "the unit of its coords (px0: level-0 pixels, um: microns, stamp_v1: pixels of 256/224 "
        "microns)",
        found=said.unit,
        supplied=supplied.coords_unit,
        option="coords_unit",
    )
    if unit == "px0":
        placed = place(path, corners, Tiling(size_px=said.size_px), supplied, origin="stamp")
    else:
        placed = _place_um(path, corners, said, supplied, first=unit == "stamp_v1")
    return replace(
        placed,
        features_ND=features,
        encoder=encoder_of(path, said.encoder, supplied),
        made_by={} if said.code_hash is None else {"code_hash": said.code_hash},
    )


def _place_um(
    path: Path, corners_N2: NDArray[np.float64], said: _Said, supplied: Supplied, *, first: bool
) -> ForeignTiles:
    """Return the tiles, without features yet; ``first`` for the unit of version 1."""
    if supplied.tile_px0 is not None:
        msg = f"{path}: its tiles are measured in microns and tile_px0={supplied.tile_px0:g} was "
        msg += "given; leave the option out"
        raise StoreError(msg)
    size_px = agreed(
        path,
        "how many pixels a side its tiles have (tile_size_px)",
        found=V1_SIDE_PX if first else said.size_px,
        supplied=supplied.tile_px,
        option="tile_px",
    )
    side_um = V1_SIDE_UM if first else said.side_um
    if side_um is None:
        tile_mpp = agreed(
            path,
            "the side of a tile in microns (tile_size_um: tile_px x tile_mpp)",
            found=None,
            supplied=supplied.tile_mpp,
            option="tile_mpp",
        )
        side_um = size_px * tile_mpp
    mpp = mpp_of(path, slide_id_of(path), supplied)
    check_mpp(path, mpp, tile_mpp=side_um / size_px)
    um_per_unit = V1_SIDE_UM / V1_SIDE_PX if first else 1.0
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
        tile_mpp=side_um / size_px,
        overlap_px=checked_overlap_px(
            path,
            coords_N2,
            side=_side(said, supplied, side_um=side_um, mpp=mpp, first=first),
            size_px=size_px,
            said_px=supplied.overlap_px,
        ),
        width_px0=width_px0,
        height_px0=height_px0,
    )


def _side(said: _Said, supplied: Supplied, *, side_um: float, mpp: float, first: bool) -> Side:
    """Return the side of a tile in level-0 pixels, and which options say it."""
    side_px0 = side_um / mpp
    if first:
        fitting = "another coords_unit"
        return Side(side_px0, given="coords_unit=stamp_v1", fitting=fitting)
    if said.side_um is not None:
        return Side(side_px0)
    given = f"tile_px={supplied.tile_px} x tile_mpp={supplied.tile_mpp}"
    return Side(side_px0, given=given, fitting="another tile_mpp, or coords_unit")


def _said(file: h5py.File) -> _Said:
    side_um = number(file, "tile_size_um")
    unit = text(file, "unit")
    if unit not in (None, "um"):
        msg = f"{file.filename}: attribute unit is {unit!r}; STAMP writes 'um'"
        raise StoreError(msg)
    if side_um is not None:
        unit = "um"  # the name says so
    elif unit == "um":
        side_um = number(file, "tile_size")
    return _Said(
        unit=unit,
        side_um=side_um,
        size_px=whole(file, "tile_size_px"),
        encoder=text(file, "extractor"),
        code_hash=text(file, "code_hash"),
    )


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
