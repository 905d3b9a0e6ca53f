"""HDF5 underneath every store: atomic writing, careful reading, text that survives damage."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py
import numpy as np

import histofed
from histofed.errors import FileDamaged, HistofedError, StoreError
from histofed.io.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT_VERSION = 1


def write_text(file: h5py.File, name: str, text: str) -> None:
    """Write text of fixed length: damage to one of variable length crashes the HDF5 library."""
    file.attrs[name] = np.bytes_(text.encode())


def read_text(file: h5py.File, name: str) -> str:
    """Read what `write_text` wrote."""
    return bytes(file.attrs[name]).decode()


def write_format(file: h5py.File, kind: str) -> None:
    """Write what every file of ours says of itself."""
    write_text(file, "format", f"histofed/{kind}")
    file.attrs["format_version"] = FORMAT_VERSION
    write_text(file, "software", f"histofed {histofed.__version__}")


@contextmanager
def open_h5(path: Path, kind: str) -> Iterator[h5py.File]:
    """Open a file of ours for reading, or say what is wrong with it, now or while it is read."""
    if not path.exists():
        msg = f"{path}: there is no {kind} file for this slide"
        raise StoreError(msg)
    with careful_h5(path, f"a {kind} file", remedy="delete it and make it again") as file:
        _check_format(file, path, kind)
        yield file


@contextmanager
def careful_h5(path: Path, what: str, *, remedy: str) -> Iterator[h5py.File]:
    """Open any HDF5 file for reading; damage, met now or while it is read, becomes our error."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except HistofedError:
        raise
    except (
        OSError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
        AttributeError,
        MemoryError,  # a damaged size
    ) as error:
        if isinstance(error, OSError) and error.errno:  # the system's word, not the content
            msg = f"{path}: cannot be read ({os.strerror(error.errno)}); check the disk and who "
            msg += "may read there, and try again"
            raise StoreError(msg) from error
        msg = f"{path}: damaged or not {what} ({error!r}); {remedy}"
        raise FileDamaged(msg) from error


def _check_format(file: h5py.File, path: Path, kind: str) -> None:
    found = read_text(file, "format") if "format" in file.attrs else None
    version = file.attrs.get("format_version")
    if found != f"histofed/{kind}":
        msg = f"{path}: expected a histofed/{kind} file, found format {found!r}"
        raise StoreError(msg)
    if version != FORMAT_VERSION:
        msg = f"{path}: format version {version}, this histofed reads {FORMAT_VERSION}; "
        msg += "update histofed or make the file again"
        raise StoreError(msg)


@contextmanager
def atomic_h5(path: Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file that becomes ``path`` when the block ends well.

    It is put together in memory: on a full disk the HDF5 library does not fail, it crashes the
    process. So memory must hold the file a second time.
    """
    with h5py.File(str(path), "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with atomic_path(path) as temporary:
        temporary.write_bytes(image)
