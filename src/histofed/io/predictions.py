"""``predictions.csv``: a row per patient, the columns named by the task.

``patient_id, site, fold``, the label (``label``; ``label_<gene>``; ``time, event``), the outputs
(``probability``; ``probability_<class>``; ``predicted_<quantity>``; ``risk, survival_<time>``),
``set`` (numbers of the classes that cannot be ruled out, parted by ``|``) and ``ood``. A cell is
empty where nothing is known.
"""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

from histofed.core.tasks import BinaryTask, MulticlassTask
from histofed.core.types import Prediction
from histofed.errors import CohortError
from histofed.io.tables import open_text, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from histofed.core.tasks import Task

WHO = ("patient_id", "site", "fold")
TRUST = ("set", "ood")


def write_predictions(path: Path, predictions: Iterable[Prediction], *, task: Task) -> None:
    """Write one row per patient."""
    names = (*WHO, *task.label_names, *task.output_names, *TRUST)
    write_rows(path, names, [_cells(prediction) for prediction in predictions])


def read_predictions(path: Path, *, task: Task) -> list[Prediction]:
    """Read what `write_predictions` wrote.

    Raises
    ------
    CohortError
        The file is missing, or not of this task.
    """
    if not path.is_file():
        msg = f"{path}: no predictions there; run `histofed train` or `histofed federate` first"
        raise CohortError(msg)
    with open_text(path) as file:
        try:
            return [_prediction(row, task) for row in csv.DictReader(file)]
        except (KeyError, ValueError, TypeError) as error:
            msg = f"{path}: not a table of predictions of task {task.name} ({error!r}); train again"
            raise CohortError(msg) from error


def _cells(prediction: Prediction) -> list[object]:
    possible = "" if prediction.possible is None else "|".join(map(str, prediction.possible))
    return [
        *(getattr(prediction, name) for name in WHO),
        *(_label_cell(value) for value in prediction.label),
        *("" if math.isnan(value) else value for value in prediction.outputs),
        # An empty set is not an unknown one.
        "none" if prediction.possible == () else possible,
        "" if prediction.ood is None else prediction.ood,
    ]


def _label_cell(value: float) -> object:
    if math.isnan(value):
        return ""
    return int(value) if value.is_integer() else value


def _prediction(row: dict[str, str], task: Task) -> Prediction:
    return Prediction(
        patient_id=row["patient_id"],
        site=row["site"],
        fold=int(row["fold"]),
        label=tuple(_number(row[name]) for name in task.label_names),
        outputs=tuple(_number(row[name]) for name in task.output_names),
        possible=_set(row["set"], task),
        ood=float(row["ood"]) if row["ood"] else None,
    )


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan


def _set(cell: str, task: Task) -> tuple[int, ...] | None:
    if cell in ("", "none"):
        return () if cell else None
    found = tuple(int(number) for number in cell.split("|"))
    n_classes = len(task.classes) if isinstance(task, BinaryTask | MulticlassTask) else 0
    if not set(found) <= set(range(n_classes)):
        msg = f"set {cell!r} of {n_classes} classes"
        raise ValueError(msg)
    return found
