"""A look at the part of an HDF5 file that can hang or crash the HDF5 library when it is damaged.

Others store text with a variable length, in "global heap collections". A wrong size there sends
the library into an endless loop or out of its memory, which no ``except`` catches. So the sizes are
followed here first. Ours store text with a fixed length and need none of this.

Specification: HDF5 File Format Specification 3.0, section III.E "Disk Format: Level 1E - Global
Heap".
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING

from histofed.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = b"GCOL\x01\x00\x00\x00"
"""Of a collection, with its version and three reserved zeros."""

HEADER = struct.Struct("<8sQ")
"""Signature and size of a collection, the header included."""

OBJECT = struct.Struct("<HHIQ")
"""Index, references, reserved, and size of an object; index 0 is the free space at the end."""


def check_heaps(path: Path) -> None:
    """Refuse a file whose global heaps are not whole.

    Raises
    ------
    StoreError
        An object leaves its collection, or a collection the file.
    """
    with path.open("rb") as file:
        if not file.read(1):
            msg = f"{path}: the file is empty; make or copy it again"
            raise StoreError(msg)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start = data.find(SIGNATURE)
            while start >= 0:
                if not _is_whole(data, start):
                    msg = f"{path}: damaged (the text in it, at byte {start}); make or copy it "
                    msg += "again"
                    raise StoreError(msg)
                start = data.find(SIGNATURE, start + 1)


def _is_whole(data: mmap.mmap, start: int) -> bool:
    """Whether the objects of a collection follow one another to its end."""
    if start + HEADER.size > len(data):
        return False
    size: int = HEADER.unpack_from(data, start)[1]
    end, at = start + size, start + HEADER.size
    if end > len(data) or end < at:
        return False
    while at + OBJECT.size <= end:
        index, _, _, length = OBJECT.unpack_from(data, at)
        if index == 0:
            return at + int(length) == end
        at += OBJECT.size + -(-int(length) // 8) * 8  # contents are padded to eight bytes
    return at <= end
