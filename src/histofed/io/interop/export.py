"""What the writers of all foreign formats share.

Array suffixes: N tiles.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from histofed.errors import StoreError
from histofed.io.h5 import atomic_h5, read_text, write_text
from histofed.io.interop.reading import open_foreign
from histofed.io.store import MIN_CHUNK_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import h5py
    import numpy as np
    from numpy.typing import NDArray

    from histofed.io.store import Record, SlideFeatures, SlideTiles

MARK = "histofed_digest"
"""Root attribute of what we export: the digest of the record that it was made from."""


@contextmanager
def export_h5(path: Path, record: Record) -> Iterator[h5py.File]:
    """Write a file for others that knows what it was made from; others do not see the mark."""
    with atomic_h5(path) as file:
        write_text(file, MARK, record.digest)
        yield file


def exported_digest(path: Path) -> str | None:
    """Return the digest of the record that a file was exported from.

    Returns
    -------
    digest
        None where there is no file; empty where the file is not an export of ours.
    """
    if not path.exists():
        return None
    with open_foreign(path) as file:
        return read_text(file, MARK) if MARK in file.attrs else ""


def positions(slide: SlideFeatures | SlideTiles, who: str) -> NDArray[np.int64]:
    """Return the corners of a slide whose tiles have a place and a physical size.

    Raises
    ------
    StoreError
        They have none.
    """
    record = slide.record
    if slide.coords_N2 is None or record.recipe.spec is None or record.mpp is None:
        raise no_place(record, who)
    return slide.coords_N2


def no_place(record: Record, who: str) -> StoreError:
    """Return the refusal of a slide whose tiles have no place or no physical size."""
    msg = f"{record.slide_id}: its features have no positions, and files of {who} need them"
    return StoreError(msg)


def plain_name(record: Record) -> str:
    """Return the encoder's name, which names a folder of others.

    Raises
    ------
    StoreError
        It would not do as a folder's name.
    """
    name = record.recipe.encoder
    if not re.fullmatch(r"\w[\w.+-]*", name):
        msg = f"{record.slide_id}: the encoder is called {name!r}, which cannot name a folder"
        raise StoreError(msg)
    return name


def write_rows(file: h5py.File, name: str, data: NDArray[Any]) -> h5py.Dataset:
    """Write rows that can be appended to, as others do, in chunks that read fast."""
    return file.create_dataset(
        name,
        data=data,
        chunks=(min(MIN_CHUNK_ROWS, len(data)), data.shape[1]),
        maxshape=(None, data.shape[1]),
    )
