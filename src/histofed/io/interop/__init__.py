"""Other people's files, in and out: bags as CSV; tiles and features of TRIDENT, CLAM and STAMP.

Reading ends in one type (`ForeignTiles`): positions in level-0 pixels, whatever unit the file has.
What a file does not say is asked for (`Supplied`), never guessed; `docs/file-formats.md` has the
table. Every format is a module with ``read(path, supplied)`` and ``write(folder, tiles)``.
"""

from histofed.io.interop import clam, features_only, stamp, trident
from histofed.io.interop.bag_csv import read_bag_csv
from histofed.io.interop.detect import HISTOFED, detect, find_files, is_nameless, slide_id_of
from histofed.io.interop.export import exported_digest
from histofed.io.interop.foreign import ForeignTiles, Supplied

READERS = {
    "trident": trident.read,
    "clam": clam.read,
    "stamp": stamp.read,
    "features_only": features_only.read,
}
WRITERS = {"trident": trident, "clam": clam, "stamp": stamp}

__all__ = [
    "HISTOFED",
    "READERS",
    "WRITERS",
    "ForeignTiles",
    "Supplied",
    "detect",
    "exported_digest",
    "find_files",
    "is_nameless",
    "read_bag_csv",
    "slide_id_of",
]
