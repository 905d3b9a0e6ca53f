"""Bags as CSV.

A bag table has no header; each row is one instance: the bag's label (0 or 1), the bag's number, and
the features. The classical multiple-instance data sets (MUSK, ELEPHANT, UCSB breast) are
distributed in this way.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

from histofed.errors import CohortError
from histofed.io.tables import check_name

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_FLOAT16 = 65504.0


def read_bag_csv(path: Path) -> dict[str, tuple[int, NDArray[np.float16]]]:
    """Read bags: number -> (label, features ``(N, D)``), in the order of the file.

    Raises
    ------
    CohortError
        The file is missing, or a row is at fault: the row is named.
    """
    if not path.is_file():
        msg = f"bag table {path} is not there; name one with source=PATH"
        raise CohortError(msg)
    rows: dict[str, list[list[float]]] = {}
    labels: dict[str, int] = {}
    width = 0
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for line, row in enumerate(csv.reader(file), start=1):
            if not row:
                continue
            where = f"{path}, line {line}"
            width = width or len(row)
            label, bag, features = _instance(row, width, where)
            check_name("bag", bag, where)
            if labels.setdefault(bag, label) != label:
                msg = f"{where}: bag {bag} has label {label} here and {labels[bag]} before; "
                msg += "a bag has one label"
                raise CohortError(msg)
            rows.setdefault(bag, []).append(features)
    if not rows:
        msg = f"{path}: the table is empty"
        raise CohortError(msg)
    return {bag: (labels[bag], np.array(found, dtype=np.float16)) for bag, found in rows.items()}


def _instance(row: list[str], width: int, where: str) -> tuple[int, str, list[float]]:
    if len(row) != width or width < 3:
        msg = f"{where}: {len(row)} cells; every row has a label, a bag number and the same "
        msg += f"number of features ({max(width - 2, 1)})"
        raise CohortError(msg)
    if row[0].strip() not in ("0", "1"):
        msg = f"{where}: the label is {row[0]!r}; it must be 0 or 1"
        raise CohortError(msg)
    try:
        features = [float(cell) for cell in row[2:]]
    except ValueError as error:
        msg = f"{where}: {error}; features are numbers"
        raise CohortError(msg) from None
    if not all(abs(value) <= MAX_FLOAT16 for value in features):
        msg = f"{where}: a feature is not finite or beyond {MAX_FLOAT16:g}, the largest number of "
        msg += "a feature file; rescale the column"
        raise CohortError(msg)
    return int(row[0]), row[1].strip(), features
