"""Parquet tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.errors import CohortError
from histofed.io.sources.table import Table, cell_text, optional_package, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from histofed.io.sources.table import Part


def read_parquet(path: Path, part: Part) -> Table:
    """Read a table; lines are rows counted from 1.

    Raises
    ------
    CohortError
        pyarrow is not installed, or the file is no Parquet.
    """
    parquet = optional_package("pyarrow.parquet", path)
    arrow = optional_package("pyarrow", path)
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        msg = f"{path}: cannot be read as Parquet ({error}); save it again"
        raise CohortError(msg) from error
    columns = {
        name: [cell_text(value) for value in table.column(name).to_pylist()]
        for name in table.column_names
        if not name.startswith("__index_level_")  # the numbers of rows that pandas stores
    }
    rows = list(enumerate(zip(*columns.values(), strict=True), start=1))
    return table_of(path, list(columns), rows, part=part)
