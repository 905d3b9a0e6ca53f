"""``splits.csv``: who has which role in which fold. CSV, a row per fold and patient."""

from __future__ import annotations

import csv
from collections import defaultdict
from typing import TYPE_CHECKING

from histofed.core.splits import ROLES, Fold
from histofed.errors import CohortError
from histofed.io.tables import check_cells, check_header, open_text, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COLUMNS = ("patient_id", "fold", "role")


def write_splits(path: Path, folds: Iterable[Fold]) -> None:
    """Write every patient's role in every fold, ordered by patient and fold."""
    rows = [
        (patient, fold.number, role) for fold in folds for patient, role in fold.role_of.items()
    ]
    write_rows(path, COLUMNS, sorted(rows))


def read_splits(path: Path) -> list[Fold]:
    """Read folds: those of a run, or fixed ones made by anybody.

    Raises
    ------
    CohortError
        The file or a column is missing, a row is at fault (it is named), a patient has two roles
        in one fold, or folds are not numbered from 0.
    """
    if not path.is_file():
        msg = f"{path}: the table of folds is missing; it has the columns {', '.join(COLUMNS)}. If "
        msg += "it was made by training, train again"
        raise CohortError(msg)
    members: dict[int, dict[str, list[str]]] = defaultdict(lambda: {role: [] for role in ROLES})
    seen: set[tuple[str, int]] = set()
    with open_text(path) as file:
        reader = csv.DictReader(file)
        check_header(path, list(reader.fieldnames or []), COLUMNS)
        for row in reader:
            where = f"{path}, line {reader.line_num}, patient {row['patient_id'] or '?'}"
            check_cells(row, where)
            patient, number, role = _row(row, where)
            if (patient, number) in seen:
                msg = f"{where}: has a role in fold {number} already; a patient has one role"
                raise CohortError(msg)
            seen.add((patient, number))
            members[number][role].append(patient)
    if sorted(members) != list(range(len(members))) or not members:
        msg = f"{path}: folds are numbered {sorted(members)}; number them 0, 1, 2, ..."
        raise CohortError(msg)
    return [
        Fold(number=number, **{role: tuple(sorted(members[number][role])) for role in ROLES})
        for number in range(len(members))
    ]


def _row(row: dict[str, str], where: str) -> tuple[str, int, str]:
    patient, fold, role = (row[name].strip() for name in COLUMNS)
    if not patient:
        msg = f"{where}: patient_id is empty; every row needs one"
        raise CohortError(msg)
    if not fold.isdecimal():
        msg = f"{where}: fold is {fold!r}, not a number from 0"
        raise CohortError(msg)
    if role not in ROLES:
        msg = f"{where}: role is {role!r}, not one of {', '.join(ROLES)}"
        raise CohortError(msg)
    return patient, int(fold), role
