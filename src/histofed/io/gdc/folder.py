"""A folder of downloads: what is there of each file, and the table that says so."""

from __future__ import annotations

import csv
import stat
from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, get_type_hints

from histofed.errors import CohortError
from histofed.io.gdc.fetch import begun_bytes
from histofed.io.tables import check_cells, check_header, open_text, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from histofed.io.gdc.manifest import GdcFile

TABLE = "download.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one file: a row of the table.

    Attributes
    ----------
    path
        Relative to the table.
    status
        ``done`` by this command, ``kept`` (there already, and right), ``failed`` or ``left``.
    size
        In bytes, as the manifest says.
    seconds
        From the first request to the name.
    modified_ns
        Time of modification of the file whose md5 was right, in nanoseconds; 0 where there is none.
        As long as it stays the same the file need not be read again.
    """

    id: str
    filename: str
    path: str
    status: str
    size: int
    md5: str
    seconds: float = 0.0
    modified_ns: int = 0
    reason: str = ""


ROW_COLUMNS = tuple(field.name for field in fields(Row))


class State(Enum):
    """What is there of a file, as far as can be told without reading it."""

    KEPT = "there, and right"
    UNREAD = "there, not compared yet"
    OTHER = "another file is there"
    BEGUN = "begun"
    MISSING = "to come"


def look(file: GdcFile, folder: Path, table: Mapping[str, Row], *, verify: bool = False) -> State:
    """Return what is there of a file.

    Parameters
    ----------
    table
        Id -> row of the earlier command's table.
    verify
        Do not believe the table.
    """
    try:
        found = (folder / file.path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return State.MISSING if begun_bytes(file, folder) is None else State.BEGUN
    if not stat.S_ISREG(found.st_mode) or found.st_size != file.size:
        return State.OTHER
    row = table.get(file.id)
    known = row is not None and (row.md5, row.modified_ns) == (file.md5, found.st_mtime_ns)
    return State.KEPT if known and not verify else State.UNREAD


def read_table(path: Path) -> dict[str, Row]:
    """Return id -> row; empty where no table is there.

    Raises
    ------
    CohortError
        It is not as we write it.
    """
    if not path.exists():
        return {}
    types = get_type_hints(Row)
    found: dict[str, Row] = {}
    with open_text(path) as file:
        reader = csv.DictReader(file)
        check_header(path, list(reader.fieldnames or []), ROW_COLUMNS)
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            check_cells(row, where)
            try:
                cells = {name: types[name](row[name]) for name in ROW_COLUMNS}
            except ValueError as error:
                msg = f"{where}: a number was expected ({error}); remove the table: what is there "
                msg += "is then read and compared again"
                raise CohortError(msg) from error
            found[cells["id"]] = Row(**cells)
    return found


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write one row per file; it appears whole or not at all."""
    write_rows(path, ROW_COLUMNS, ([getattr(row, name) for name in ROW_COLUMNS] for row in rows))
