"""Careful reading of HDF5 files that others wrote: every value is checked before it is believed.

Array suffixes: N tiles, D features.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import h5py
import numpy as np

from histofed.errors import NoTissue, StoreError
from histofed.io.h5 import careful_h5
from histofed.io.interop.heaps import check_heaps

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.io.interop.foreign import Supplied

T = TypeVar("T", str, int, float)

MAX_CORNER = 1e9
"""No slide is so wide, in pixels or in microns."""

MAX_COMPRESSION = 1100
"""Bytes that one compressed byte can stand for; deflate reaches 1032."""


def open_foreign(path: Path) -> AbstractContextManager[h5py.File]:
    """Open a file of others; what is wrong with it becomes a `StoreError` that names it."""
    check_heaps(path)
    return careful_h5(path, "an HDF5 file of features or positions", remedy="make or copy it again")


def dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """Return a data set, or None where there is none of this name.

    Raises
    ------
    StoreError
        What it holds is in another file: the digest of this one would not cover it.
    """
    link, found = file.get(name, getlink=True), file.get(name)
    if isinstance(found, h5py.Dataset):
        elsewhere = found.file.filename != file.filename or found.external or found.is_virtual
    else:
        elsewhere = isinstance(link, h5py.ExternalLink)
    if elsewhere:
        msg = f"{file.filename}: {name} is in another file; copy the data into one (h5repack), or "
        msg += "convert the files that hold them"
        raise StoreError(msg)
    return found if isinstance(found, h5py.Dataset) else None


def features_of(file: h5py.File, name: str) -> NDArray[np.floating[Any]] | None:
    """Read features ``(N, D)``, or None where the file has none.

    Raises
    ------
    NoTissue
        There is no tile.
    StoreError
        One vector for the whole slide, another shape, or no numbers that can be read.
    """
    data = dataset(file, name)
    if data is None:
        return None
    if data.size == 0:
        raise _no_tile(file)
    if data.ndim != 2:
        msg = f"{file.filename}: {name} has shape {data.shape}; features of tiles are (tiles, dim)"
        msg += ", one row per tile. Embeddings of whole slides are not read"
        raise StoreError(msg)
    if data.dtype.kind != "f":
        msg = f"{file.filename}: {name} is of type {data.dtype}; features are float16, float32 or "
        msg += "float64 (bfloat16 has no type in HDF5: save it as float32)"
        raise StoreError(msg)
    _check_written(data)
    return np.asarray(data)


def coords_of(file: h5py.File) -> h5py.Dataset:
    """Return the data set of positions, which may be of any shape yet.

    Raises
    ------
    StoreError
        There is none.
    """
    data = dataset(file, "coords")
    if data is None:
        msg = f"{file.filename}: there are no coords, so no tile has a place; format=features_only "
        msg += "converts the features without positions"
        raise StoreError(msg)
    return data


def corners_of(file: h5py.File, *, n_features: int | None) -> NDArray[np.float64]:
    """Read ``coords`` ``(N, 2)`` in the file's own unit.

    Raises
    ------
    NoTissue
        There is no tile.
    StoreError
        They are missing, of another shape, beyond any slide, or not one per feature row.
    """
    data = coords_of(file)
    if data.size == 0 and not n_features:
        raise _no_tile(file)
    if data.ndim != 2 or data.shape[1] != 2 or data.dtype.kind not in "iuf":
        msg = f"{file.filename}: coords have shape {data.shape} and type {data.dtype}; they must "
        msg += "be numbers (tiles, 2)"
        raise StoreError(msg)
    if n_features is not None and len(data) != n_features:
        msg = f"{file.filename}: {n_features} features for {len(data)} coords; make it again"
        raise StoreError(msg)
    _check_written(data)
    corners = np.asarray(data, dtype=np.float64)
    wrong_N = ~((corners >= 0) & (corners <= MAX_CORNER)).all(axis=1)
    if wrong_N.any():
        row = int(np.flatnonzero(wrong_N)[0])
        msg = f"{file.filename}: tile {row} starts at {corners[row].tolist()}; corners are from 0 "
        msg += f"to {MAX_CORNER:g}"
        raise StoreError(msg)
    _refuse_twins(file, corners)
    return corners


def _refuse_twins(file: h5py.File, corners_N2: NDArray[np.float64]) -> None:
    """Refuse two tiles at one place: software that appends does so when it is started again."""
    _, first_N, n_N = np.unique(corners_N2, axis=0, return_index=True, return_counts=True)
    if len(first_N) < len(corners_N2):
        corner = corners_N2[first_N[n_N.argmax()]].tolist()
        msg = f"{file.filename}: {n_N.max()} tiles start at {corner}, and {len(corners_N2)} tiles "
        msg += f"have {len(first_N)} places; each tile counts once: make it again, or convert the "
        msg += "features without positions (format=features_only)"
        raise StoreError(msg)


def whole_px0(path: Path, corners_N2: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return corners that are level-0 pixels already.

    Raises
    ------
    StoreError
        They are no whole numbers, so they have another unit.
    """
    if (corners_N2 != np.rint(corners_N2)).any():
        msg = f"{path}: coords are no whole numbers, so they are not level-0 pixels; microns are "
        msg += "read with format=stamp coords_unit=um"
        raise StoreError(msg)
    return corners_N2.astype(np.int64)


def check_inside(
    path: Path,
    coords_N2: NDArray[np.int64],
    size_px0: tuple[int | None, int | None],
    supplied: Supplied,
) -> tuple[int | None, int | None]:
    """Return the size of the slide, where file or slide say it, with all corners inside.

    Parameters
    ----------
    size_px0
        Width and height as the file says them, None where it does not.

    Raises
    ------
    StoreError
        A corner is outside, or file and slide are of different sizes.
    """
    of_slide = supplied.size_px0 or (None, None)
    if None not in (*size_px0, *of_slide) and size_px0 != of_slide:
        msg = f"{path}: its slide has {size_px0[0]} x {size_px0[1]} level-0 pixels, and the slide "
        msg += f"of the cohort table {of_slide[0]} x {of_slide[1]}; correct the table"
        raise StoreError(msg)
    width_px0, height_px0 = size_px0 if None not in size_px0 else of_slide
    if width_px0 is None or height_px0 is None:
        return size_px0
    wrong_N = (coords_N2 >= (width_px0, height_px0)).any(axis=1)
    if wrong_N.any():
        row = int(np.flatnonzero(wrong_N)[0])
        msg = f"{path}: tile {row} starts at {coords_N2[row].tolist()}, outside of its slide of "
        msg += f"{width_px0} x {height_px0} level-0 pixels; the coords have another unit or are "
        msg += "of another slide"
        raise StoreError(msg)
    return width_px0, height_px0


def number(owner: h5py.Dataset | h5py.File, name: str, *, zero: bool = False) -> float | None:
    """Return a numeric attribute; None where it is absent or says ``None``, as TRIDENT does.

    Raises
    ------
    StoreError
        It is there, and is not one positive number (or zero, where that is allowed).
    """
    value = _attribute(owner, name)
    if value is None or value == "None":
        return None
    found = math.nan if isinstance(value, str) else value
    if not math.isfinite(found) or found < 0 or (found == 0 and not zero):
        shown = repr(value) if isinstance(value, str) else f"{value:g}"
        msg = f"{owner.file.filename}: attribute {name} is {shown}; it must be a number "
        msg += "from 0" if zero else "above 0"
        raise StoreError(msg)
    return found


def whole(owner: h5py.Dataset | h5py.File, name: str, *, zero: bool = False) -> int | None:
    """Return a numeric attribute that must be whole."""
    found = number(owner, name, zero=zero)
    if found is None:
        return None
    if found != int(found):
        msg = f"{owner.file.filename}: attribute {name} is {found:g}; it must be whole"
        raise StoreError(msg)
    return int(found)


def text(owner: h5py.Dataset | h5py.File, name: str) -> str | None:
    """Return an attribute of text, or None where it is absent."""
    value = _attribute(owner, name)
    if isinstance(value, float):
        msg = f"{owner.file.filename}: attribute {name} is {value:g}; it must be text"
        raise StoreError(msg)
    return value


def _attribute(owner: h5py.Dataset | h5py.File, name: str) -> str | float | None:
    """Return one number or text; its type is looked at before the library reads the value.

    A damaged type crashes the library while it reads.
    """
    if name not in owner.attrs:
        return None
    kind = owner.attrs.get_id(name)
    is_text = h5py.check_string_dtype(kind.dtype) is not None
    if kind.shape not in ((), (1,)) or not (is_text or kind.dtype.kind in "iuf"):
        msg = f"{owner.file.filename}: attribute {name} has type {kind.dtype} and shape "
        msg += f"{kind.shape}; it must be one number or text"
        raise StoreError(msg)
    value = np.asarray(owner.attrs[name]).item()
    if isinstance(value, str):
        value = value.encode(errors="surrogateescape")  # what is no UTF-8, the library lets through
    if not isinstance(value, bytes):
        return float(value)
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        msg = f"{owner.file.filename}: attribute {name} is {value!r}, which is no UTF-8 text; "
        msg += "correct it, or make the file again"
        raise StoreError(msg) from error


def _check_written(data: h5py.Dataset) -> None:
    """Refuse rows that the file does not hold: the library would read them as zeros.

    Raises
    ------
    StoreError
        The writer was interrupted, or the size is damaged.
    """
    held = data.id.get_storage_size()
    largest = held * (MAX_COMPRESSION if data.id.get_create_plist().get_nfilters() else 1)
    if data.nbytes > largest:
        msg = (
            f"{data.file.filename}: {data.name} should have {data.nbytes:,} bytes and holds "
            f"{held:,}; its writing was interrupted: make it again"
        )
        raise StoreError(msg)


def same(path: Path, what: str, *, found: T | None, supplied: T | None, option: str) -> T | None:
    """Return what the file says, or what the user supplied; None where neither says it.

    Raises
    ------
    StoreError
        They contradict each other.
    """
    if found is not None and supplied is not None and found != supplied:
        msg = f"{path}: {what} is {found} in the file and {option}={supplied} was given; leave the "
        msg += "option out, or convert this file apart"
        raise StoreError(msg)
    return supplied if found is None else found


def _no_tile(file: h5py.File) -> NoTissue:
    return NoTissue(f"{file.filename}: it holds no tile; leave this slide out of the cohort table")
