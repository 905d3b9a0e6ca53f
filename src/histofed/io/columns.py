"""Further columns of a cohort table, per patient, that predictions are read by: scanner, sex."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from histofed.io.tables import check_cells, check_header, open_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOT_KNOWN = "not known"


def read_columns(path: Path, columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return column -> patient -> value.

    A patient whose slides differ, e.g. in the scanner, has all their values, joined by ``+``; one
    whose cells are all empty is `NOT_KNOWN`.

    Raises
    ------
    CohortError
        A column is missing, or a row is at fault.
    """
    found: dict[str, dict[str, set[str]]] = {name: {} for name in columns}
    with open_text(path) as file:
        reader = csv.DictReader(file)
        check_header(path, list(reader.fieldnames or []), ("patient_id", *columns))
        for row in reader:
            patient = row["patient_id"].strip()
            check_cells(row, f"{path}, line {reader.line_num}, patient {patient or '?'}")
            for name in columns:
                found[name].setdefault(patient, set()).add(row[name].strip())
    return {
        name: {
            patient: " + ".join(sorted(values - {""})) or NOT_KNOWN
            for patient, values in of_patient.items()
        }
        for name, of_patient in found.items()
    }
