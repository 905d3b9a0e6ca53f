"""Clinical columns of the cohort table: a row per slide, and one answer per patient."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from histofed.core.cohort import some
from histofed.core.tasks.base import plain
from histofed.errors import CohortError
from histofed.io.tables import check_header, open_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path


def read_cells(
    path: Path, columns: Sequence[str], patients: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return ``patient_id`` -> a cell per column, of some patients of a cohort table.

    Raises
    ------
    CohortError
        A column is missing, two slides of a patient contradict one another, or a patient has no
        row.
    """
    found: dict[str, tuple[str, ...]] = {}
    with open_text(path) as file:
        reader = csv.DictReader(file)
        check_header(path, list(reader.fieldnames or []), ("patient_id", *columns))
        for row in reader:
            patient = (row["patient_id"] or "").strip()
            if patient not in patients:
                continue
            cells = tuple((row[name] or "").strip() for name in columns)
            earlier = found.setdefault(patient, cells)
            for name, cell, other in zip(columns, cells, earlier, strict=True):
                if plain(cell) != plain(other):
                    msg = f"{path}, line {reader.line_num}, patient {patient}: {name} is {cell!r} "
                    msg += f"here and {other!r} on an earlier slide; it is per patient"
                    raise CohortError(msg)
    if absent := sorted(set(patients) - found.keys()):
        msg = f"{path}: no row says {', '.join(columns)} of {some(absent)}; add their rows"
        raise CohortError(msg)
    return found
