"""CLAM: ``patches/<slide>.h5``, ``h5_files/<slide>.h5`` and ``pt_files/<slide>.pt``.

Positions are level-0 pixels. A file of positions says ``patch_size`` in pixels of ``patch_level``
and that level's ``downsample``; a file of features says nothing, so it is read beside its file of
positions (``../patches``) or with what the user supplies. ``pt_files`` hold no positions and are
not read; `histofed.pipeline.interop` writes them, because torch is not known here.

Specification: the files written by CLAM (Lu et al. 2021, doi:10.1038/s41551-020-00682-w).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from histofed.errors import StoreError
from histofed.io.atomic import file_digest
from histofed.io.interop.detect import slide_id_of
from histofed.io.interop.export import export_h5, positions, write_rows
from histofed.io.interop.foreign import ForeignTiles, Supplied
from histofed.io.interop.reading import (
    agreed,
    check_inside,
    corners_of,
    encoder_of,
    features_of,
    mpp_of,
    open_foreign,
    whole,
    whole_px0,
)
from histofed.io.store import SlideFeatures, SlideTiles

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

    from histofed.io.store import Record


class _Tiling(NamedTuple):
    """What a file of positions says; None where it is silent."""

    size_px: int | None = None
    side_px0: float | None = None
    width_px0: int | None = None
    height_px0: int | None = None


def read(path: Path, supplied: Supplied) -> ForeignTiles:
    """Read features with their positions, or positions alone.

    Raises
    ------
    StoreError
        Damaged, or the size of the tiles is said neither here nor in ``../patches``.
    MissingMpp
        The slide's resolution was not supplied.
    NoTissue
        There is no tile.
    """
    with open_foreign(path) as file:
        features = features_of(file, "features")
        corners = corners_of(file, n_features=None if features is None else len(features))
        tiling = _tiling(file["coords"])
    coords_N2 = whole_px0(path, corners)
    if tiling.size_px is None:
        tiling = _tiling_beside(path, coords_N2)
    agreed(path, "the unit", found="px0", supplied=supplied.coords_unit, option="coords_unit")
    check_inside(path, coords_N2, tiling.width_px0, tiling.height_px0)
    size_px = agreed(
        path,
        "how many pixels a side its tiles have (CLAM's patch_size; patches/ beside h5_files/ "
        "would say it)",
        found=tiling.size_px,
        supplied=supplied.tile_px,
        option="tile_px",
    )
    side_px0 = agreed(
        path,
        "the side of a tile in level-0 pixels (patch_size x downsample)",
        found=tiling.side_px0,
        supplied=supplied.tile_px0,
        option="tile_px0",
    )
    slide_id = slide_id_of(path)
    mpp = mpp_of(path, slide_id, supplied)
    return ForeignTiles(
        slide_id=slide_id,
        origin="clam",
        source_digest=file_digest(path),
        features_ND=features,
        coords_N2=coords_N2,
        encoder="" if features is None else encoder_of(path, None, supplied),
        mpp=mpp,
        size_px=size_px,
        tile_mpp=side_px0 * mpp / size_px,
        side_px0=side_px0,
        width_px0=tiling.width_px0,
        height_px0=tiling.height_px0,
    )


def _tiling(coords: h5py.Dataset) -> _Tiling:
    size_px, level = whole(coords, "patch_size"), whole(coords, "patch_level", zero=True)
    if size_px is None:
        return _Tiling()
    downsample = _pair(coords, "downsample")
    if downsample is None and level == 0:
        downsample = (1.0, 1.0)
    if downsample is None:
        return _Tiling(size_px=size_px)
    if abs(downsample[0] - downsample[1]) * size_px >= 1:
        msg = f"{coords.file.filename}: downsample is {downsample}; tiles that are not square are "
        msg += "not read"
        raise StoreError(msg)
    size_of_level = _pair(coords, "level_dim") if level == 0 else None
    width, height = size_of_level or (None, None)
    return _Tiling(
        size_px=size_px,
        side_px0=size_px * downsample[0],
        width_px0=None if width is None else int(width),
        height_px0=None if height is None else int(height),
    )


def _pair(coords: h5py.Dataset, name: str) -> tuple[float, float] | None:
    """Return an attribute of two positive numbers."""
    if name not in coords.attrs:
        return None
    kind = coords.attrs.get_id(name)
    pair = kind.dtype.kind in "iuf" and kind.shape == (2,)
    first, second = np.asarray(coords.attrs[name], dtype=float) if pair else (0.0, 0.0)
    if not (0 < first < np.inf and 0 < second < np.inf):
        msg = f"{coords.file.filename}: attribute {name} must be two positive numbers"
        raise StoreError(msg)
    return float(first), float(second)


def _tiling_beside(path: Path, coords_N2: NDArray[np.int64]) -> _Tiling:
    """Return what the file of positions beside a file of features says, if it is of these tiles."""
    beside = path.parent.parent / "patches" / path.name
    if path.parent.name != "h5_files" or not beside.is_file():
        return _Tiling()
    with open_foreign(beside) as file:
        corners = corners_of(file, n_features=None)
        tiling = _tiling(file["coords"])
    if not np.array_equal(whole_px0(beside, corners), coords_N2):
        msg = f"{path}: its tiles are not those of {beside}; the two are of different runs of CLAM"
        raise StoreError(msg)
    return tiling


def targets(folder: Path, record: Record, *, features: bool) -> tuple[Path, ...]:
    """Return the files of a slide, in the order in which they are written."""
    folders = ("patches", "h5_files") if features else ("patches",)
    return tuple(folder / name / f"{record.slide_id}.h5" for name in folders)


def write(folder: Path, slide: SlideFeatures | SlideTiles) -> None:
    """Write positions and, where there are any, features, in CLAM's folders."""
    coords_N2 = positions(slide, "CLAM")
    record = slide.record
    tiles, *encoded = targets(folder, record, features=isinstance(slide, SlideFeatures))
    with export_h5(tiles, record) as file:
        said = write_rows(file, "coords", coords_N2).attrs
        said["patch_size"] = round(record.side_px0)
        said["patch_level"] = 0
        said["downsample"] = (1.0, 1.0)
        if record.width_px0 is not None and record.height_px0 is not None:
            for name in ("downsampled_level_dim", "level_dim"):
                said[name] = (record.width_px0, record.height_px0)
        said["name"] = record.slide_id
        said["save_path"] = "."
    if isinstance(slide, SlideFeatures):
        with export_h5(encoded[0], record) as file:
            write_rows(file, "features", slide.features_ND.astype(np.float32))
            write_rows(file, "coords", coords_N2.astype(np.int32))
