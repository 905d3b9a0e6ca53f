"""A table of any kind: text cells, and rows that know where they stand."""

from __future__ import annotations

import datetime
import importlib
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

PLACEHOLDERS = frozenset(
    {
        "'--", "--", "[not available]", "[not applicable]", "[not evaluated]", "[unknown]",
        "[discrepancy]", "[completed]", "[pending]",
    }
)  # fmt: skip
"""What databases write into empty cells; it is read as empty. Words are the task's ``missing``."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: column -> cell, trimmed, and the number of its line from 1."""

    cells: Mapping[str, str]
    line: int


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    Attributes
    ----------
    n_comments
        Lines above the header that begin with ``#``.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    n_comments: int = 0

    def where(self, row: Row) -> str:
        """Return where a row stands, for a message."""
        return f"{self.path}, line {row.line}"

    def find(self, names: Sequence[str]) -> str | None:
        """Return the first of some columns that the table has, whatever their capitals."""
        own = {column.lower(): column for column in self.columns}
        return next((own[name.lower()] for name in names if name.lower() in own), None)

    def need(self, names: Sequence[str], what: str, *, option: str = "") -> str:
        """Return the first of some columns.

        Parameters
        ----------
        option
            By which a person may name another column.

        Raises
        ------
        CohortError
            The table has none of them.
        """
        if (found := self.find(names)) is None:
            msg = f"{self.path}: no column of {what}; it is called {', '.join(names)}, and the "
            msg += f"table has {', '.join(self.columns[:12])}{', ...' * (len(self.columns) > 12)}"
            msg += f": name yours with {option}=[NAME]" if option else ""
            raise CohortError(msg)
        return found


@dataclass(frozen=True, kw_only=True)
class Part:
    """What of a table is kept; genomic tables are large, and little of them is asked for.

    Attributes
    ----------
    columns
        In lower case; None keeps all.
    key, values
        Rows are kept whose cell in the first of the columns ``key`` that there is, is one of
        ``values``; None keeps all.
    """

    columns: frozenset[str] | None = None
    key: tuple[str, ...] = ()
    values: frozenset[str] | None = None


WHOLE = Part()


def table_of(
    path: Path,
    header: Sequence[str],
    rows: Iterable[tuple[int, Sequence[str]]],
    *,
    n_comments: int = 0,
    part: Part = WHOLE,
) -> Table:
    """Return a table, after the checks that every format shares.

    Parameters
    ----------
    rows
        Number of the line, cells. Rows without any content are left out.

    Raises
    ------
    CohortError
        A column has no name or the name of another, a row has more or fewer cells than the header,
        or there is no row.
    """
    rows = iter(rows)
    first = next((each for each in rows if any(map(str.strip, each[1]))), None)
    if first is None:
        msg = f"{path}: there is no row below the header"
        raise CohortError(msg)
    refuse_title(path, header, first[1])
    columns = _names(path, header)
    lower = [name.lower() for name in columns]
    kept = [i for i, name in enumerate(lower) if part.columns is None or name in part.columns]
    key = next((lower.index(name.lower()) for name in part.key if name.lower() in lower), None)
    found = []
    for line, cells in itertools.chain([first], rows):
        if not any(map(str.strip, cells)):
            continue
        if len(cells) != len(columns):
            msg = f"{path}, line {line}: the row has {len(cells)} cells, the header "
            msg += f"{len(columns)}; quote cells that hold the separator"
            raise CohortError(msg)
        if part.values is None or key is None or cells[key].strip() in part.values:
            found.append(Row({columns[i]: _plain(cells[i]) for i in kept}, line))
    return Table(path, tuple(columns), tuple(found), n_comments)


def refuse_title(path: Path, header: Sequence[str], first: Sequence[str]) -> None:
    """Refuse a title above the header: one cell alone, and more of them in the first row below.

    Raises
    ------
    CohortError
        It is one.
    """
    beside = [cell for cell in header[1:] if cell.strip()]
    if header and header[0].strip() and not beside and sum(bool(c.strip()) for c in first) > 1:
        msg = f"{path}: {header[0].strip()!r} stands alone above the header; delete the title, so "
        msg += "that the first line names the columns (or begin it with #, in a file of text)"
        raise CohortError(msg)


def _names(path: Path, header: Sequence[str]) -> list[str]:
    """Return the names of the columns, each once."""
    columns = [name.strip() for name in header]
    if not any(columns):
        msg = f"{path}: the header is empty; the first line names the columns"
        raise CohortError(msg)
    if "" in columns[1:]:  # the first may be the numbers of rows that pandas writes
        msg = f"{path}: column {columns.index('', 1) + 1} has no name; name it in the first line"
        raise CohortError(msg)
    columns[0] = columns[0] or "(unnamed)"
    times = Counter(name.lower() for name in columns)
    if twice := sorted(name for name in columns if times[name.lower()] > 1):
        msg = f"{path}: columns {', '.join(twice)} have one name; which one counts is not said"
        raise CohortError(msg)
    return columns


def _plain(cell: str) -> str:
    text = cell.strip()
    return "" if text.lower() in PLACEHOLDERS else text


def cell_text(value: object) -> str:
    """Return the cell of a typed table as text: dates in ISO form, numbers as they were typed."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, datetime.datetime):
        return value.date().isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def read_table(path: Path, part: Part = WHOLE) -> Table:
    """Read a table by the ending of its name: CSV, TSV (also ``.txt``), XLSX, Parquet; ``.gz``.

    Raises
    ------
    CohortError
        It is not there, is of another kind, or is malformed: the row is named.
    """
    if not path.is_file():
        what = "is a folder; name the table in it" if path.is_dir() else "is not there"
        msg = f"{path} {what}"
        raise CohortError(msg)
    unpacked = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    kind = unpacked.suffix.lower()
    if kind in (".csv", ".tsv", ".txt", ".maf", ".seg"):
        from histofed.io.sources.delimited import read_delimited

        return read_delimited(path, "," if kind == ".csv" else "\t", part)
    if kind in (".xlsx", ".xlsm"):
        from histofed.io.sources.excel import read_excel

        return read_excel(path, part)
    if kind in (".parquet", ".pq"):
        from histofed.io.sources.parquet import read_parquet

        return read_parquet(path, part)
    msg = f"{path}: tables end in .csv, .tsv, .txt (tabs), .xlsx or .parquet; save it as one"
    raise CohortError(msg)


def optional_package(name: str, path: Path) -> ModuleType:
    """Import a package that only some tables need.

    Raises
    ------
    CohortError
        It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        msg = f"{path}: reading it needs {name.partition('.')[0]}, which is not installed: "
        msg += "`pip install 'histofed[tables]'`, or save the table as CSV"
        raise CohortError(msg) from error
