"""The first sheet of an Excel workbook."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from histofed.errors import CohortError
from histofed.io.sources.table import Table, cell_text, optional_package, refuse_title, table_of

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from histofed.io.sources.table import Part


def read_excel(path: Path, part: Part) -> Table:
    """Read the first sheet; its first row is the header. Dates become ISO dates.

    Raises
    ------
    CohortError
        openpyxl is not installed, or the file is no workbook, cells are merged, a formula was
        never calculated, or a row is malformed.
    """
    openpyxl = optional_package("openpyxl", path)
    errors = (zipfile.BadZipFile, KeyError, openpyxl.utils.exceptions.InvalidFileException)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except errors as error:
        msg = f"{path}: is no Excel workbook ({error}); save it as .xlsx or CSV"
        raise CohortError(msg) from error
    try:
        rows = [[cell_text(value) for value in row] for row in book.worksheets[0].values]
    finally:
        book.close()
    if merged := _merged(path, openpyxl):
        msg = f"{path}: cells {merged} are merged, and only the first of them holds what is shown; "
        msg += "unmerge them and fill each, or delete the row if it is a title above the header"
        raise CohortError(msg)
    if not rows:
        msg = f"{path}: its first sheet is empty"
        raise CohortError(msg)
    if cell := _never_calculated(path, openpyxl):
        msg = f"{path}: the formula in cell {cell} was never calculated, so the cell would be read "
        msg += "as empty; open the file in a spreadsheet program and save it there"
        raise CohortError(msg)
    refuse_title(path, rows[0], next((row for row in rows[1:] if any(row)), ()))
    width = max((i for i, name in enumerate(rows[0], start=1) if name), default=0)
    beyond = next((i for i, row in enumerate(rows, start=1) if any(row[width:])), None)
    if beyond is not None:
        msg = f"{path}, line {beyond}: there is a cell beyond the header's last column; name it"
        raise CohortError(msg)
    body = [
        (i, [*row[:width], *[""] * (width - len(row))]) for i, row in enumerate(rows[1:], start=2)
    ]
    return table_of(path, rows[0][:width], body, part=part)


def _merged(path: Path, openpyxl: ModuleType) -> str:
    """Return the first merged cells of the first sheet, as in ``A2:A4``; empty if there are none.

    Only the whole workbook in memory knows them, so it is loaded where a sheet has some at all.
    """
    if not _sheets_hold(b"mergeCell ", path):
        return ""
    found = openpyxl.load_workbook(path).worksheets[0].merged_cells.ranges
    return min((each.coord for each in found), default="")


def _never_calculated(path: Path, openpyxl: ModuleType) -> str:
    """Return the first formula without a value, as in ``B2 (=A2)``; empty if there is none.

    Programs write formulas alone; spreadsheet programs store what each gave beside it. One that
    gave an empty text is a value of the type ``str``.
    """
    if not _sheets_hold(b"<f", path):
        return ""
    books = [openpyxl.load_workbook(path, read_only=True, data_only=each) for each in (True, False)]
    try:
        for row in zip(*(book.worksheets[0].rows for book in books), strict=True):
            for given, written in zip(*row, strict=True):
                if written.data_type == "f" and given.value is None and given.data_type != "str":
                    return f"{written.coordinate} ({written.value})"
    finally:
        for book in books:
            book.close()
    return ""


def _sheets_hold(text: bytes, path: Path) -> bool:
    with zipfile.ZipFile(path) as parts:
        sheets = [name for name in parts.namelist() if name.startswith("xl/worksheets/")]
        return any(text in parts.read(name) for name in sheets)
