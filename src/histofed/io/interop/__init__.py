"""Other people's files, in and out: bags as CSV; tiles and features of TRIDENT, CLAM and STAMP.

Reading ends in one type (`ForeignTiles`): positions in level-0 pixels, whatever unit the file has.
What a file does not say is asked for (`Supplied`), never guessed; `docs/file-formats.md` has the
table. Every format is a module with ``read(path, supplied)``, ``ask(file, asked)`` for what a file
leaves open, and ``write(folder, tiles)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.io.interop import clam, features_only, stamp, trident
from histofed.io.interop.asking import Asked, Question, listed
from histofed.io.interop.bag_csv import read_bag_csv
from histofed.io.interop.detect import HISTOFED, detect, find_files, holds, is_nameless, slide_id_of
from histofed.io.interop.export import exported_digest
from histofed.io.interop.foreign import ForeignTiles, Supplied
from histofed.io.interop.reading import open_foreign

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = {"trident": trident, "clam": clam, "stamp": stamp, "features_only": features_only}
READERS = {name: module.read for name, module in FORMATS.items()}
NEEDS = {
    "trident": {"positions"},
    "clam": {"positions"},
    "stamp": {"positions", "features"},
}
"""What a file must hold to be written in a format of others."""

WRITERS = {"trident": trident, "clam": clam, "stamp": stamp}


def questions(path: Path, supplied: Supplied, *, origin: str) -> list[Question]:
    """Return what a file leaves open, from its attributes alone.

    Raises
    ------
    StoreError
        It is damaged, or contradicts what was supplied.
    NoTissue
        There is no tile.
    """
    asked = Asked(path, supplied)
    with open_foreign(path) as file:
        FORMATS[origin].ask(file, asked)
    return asked.questions


__all__ = [
    "HISTOFED",
    "NEEDS",
    "READERS",
    "WRITERS",
    "ForeignTiles",
    "Question",
    "Supplied",
    "detect",
    "exported_digest",
    "find_files",
    "holds",
    "is_nameless",
    "listed",
    "questions",
    "read_bag_csv",
    "slide_id_of",
]
