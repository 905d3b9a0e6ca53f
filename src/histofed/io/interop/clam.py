"""CLAM: ``patches/<slide>.h5``, ``h5_files/<slide>.h5`` and ``pt_files/<slide>.pt``.

Positions are level-0 pixels. A file of positions says ``patch_size`` in pixels of ``patch_level``
and that level's ``downsample``; a file of features says nothing, so it is read beside its file of
positions (``../patches``) or with what the user supplies. ``pt_files`` hold no positions and are
not read; `histofed.pipeline.interop` writes them, because torch is not known here.

Specification: the files written by CLAM (Lu et al. 2021, doi:10.1038/s41551-020-00682-w).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from histofed.errors import StoreError
from histofed.io.interop.asking import Asked
from histofed.io.interop.export import export_h5, positions, write_rows
from histofed.io.interop.pixels import Placing, Tiling, ask_px0, place
from histofed.io.interop.reading import (
    coords_of,
    corners_of,
    dataset,
    features_of,
    open_foreign,
    whole,
)
from histofed.io.store import SlideFeatures, SlideTiles

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

    from histofed.io.interop.foreign import ForeignTiles, Supplied
    from histofed.io.store import Record


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
        asked = Asked(path, supplied)
        placing, encoder = ask(file, asked)
        asked.refuse()
        features = features_of(file, "features")
        corners = corners_of(file, n_features=None if features is None else len(features))
        alone = _tiling(coords_of(file)).size_px is None
    if alone and (beside := _beside(path)):
        _check_same_tiles(path, beside, corners)
    return replace(
        place(path, corners, placing, supplied, origin="clam"),
        features_ND=features,
        encoder=encoder,
    )


def ask(file: h5py.File, asked: Asked) -> tuple[Placing, str]:
    """Ask for what the file leaves open; return what places its tiles, and the encoder."""
    tiling = _tiling(coords_of(file))
    if tiling.size_px is None and (beside := _beside(asked.path)):
        with open_foreign(beside) as other:
            tiling = _tiling(coords_of(other))
    placing = ask_px0(asked, tiling, file)
    return placing, "" if dataset(file, "features") is None else asked.encoder(None)


def _tiling(coords: h5py.Dataset) -> Tiling:
    size_px, level = whole(coords, "patch_size"), whole(coords, "patch_level", zero=True)
    if size_px is None:
        return Tiling()
    downsample = _pair(coords, "downsample")
    if downsample is None and level == 0:
        downsample = (1.0, 1.0)
    if downsample is None:
        return Tiling(size_px=size_px)
    if abs(downsample[0] - downsample[1]) * size_px >= 1:
        msg = f"{coords.file.filename}: downsample is {downsample}; tiles that are not square are "
        msg += "not read"
        raise StoreError(msg)
    size_of_level = _pair(coords, "level_dim") if level == 0 else None
    width, height = size_of_level or (None, None)
    return Tiling(
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


def _beside(path: Path) -> Path | None:
    """Return the file of positions beside a file of features, if there is one."""
    beside = path.parent.parent / "patches" / path.name
    return beside if path.parent.name == "h5_files" and beside.is_file() else None


def _check_same_tiles(path: Path, beside: Path, corners_N2: NDArray[np.float64]) -> None:
    with open_foreign(beside) as file:
        same = np.array_equal(corners_of(file, n_features=None), corners_N2)
    if not same:
        msg = f"{path}: its tiles are not those of {beside}; the two are of different runs of CLAM"
        raise StoreError(msg)


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
