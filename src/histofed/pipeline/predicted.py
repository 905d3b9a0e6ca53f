"""Reading back what a run predicted: nobody twice, nobody missing, nobody on two sides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from histofed.core.cohort import some
from histofed.core.evaluation.picked import Picked
from histofed.core.evaluation.rows import Rows
from histofed.errors import CohortError
from histofed.io.predictions import read_predictions
from histofed.io.splits import read_splits
from histofed.pipeline.asking import task_of
from histofed.pipeline.study import stored_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.splits import Fold
    from histofed.core.tasks import Task
    from histofed.core.types import Prediction
    from histofed.io.runs import RunFolder


def read_arms(run: RunFolder) -> dict[str, list[Prediction]]:
    """Read every arm's predictions of patients whose label is known, federated first.

    Raises
    ------
    CohortError
        No arm, or arms that do not speak of the same patients.
    """
    names = sorted(run.arms(), key=lambda arm: (arm != "federated", arm != "pooled", arm))
    if not names:
        msg = f"{run.path}: no predictions yet; run `histofed train` or `histofed federate`"
        raise CohortError(msg)
    task = task_of(stored_config(run).task)
    arms = {arm: read_predictions(run.predictions(arm), task=task) for arm in names}
    asked = [(p.patient_id, str(p.label)) for p in arms[names[0]]]  # NaN is not itself
    folds = reversed(read_splits(run.splits))  # who is tested by several belongs to the first
    fold_of = {patient: fold.number for fold in folds for patient in fold.test}
    for arm, predictions in arms.items():
        found = {p.patient_id: p.fold for p in predictions}
        if found != fold_of or len(found) != len(predictions):
            msg = f"{run.predictions(arm)}: not one prediction for every patient of "
            msg += f"{run.splits.name}, from the fold that held the patient out; train again"
            raise CohortError(msg)
        if [(p.patient_id, str(p.label)) for p in predictions] != asked:
            msg = f"{run.path}: arms {names[0]} and {arm} are not of the same patients and labels; "
            msg += "train again"
            raise CohortError(msg)
    return {
        arm: [p for p in predictions if not all(map(math.isnan, p.label))]
        for arm, predictions in arms.items()
    }


def read_selection(run: RunFolder, arm: str, task: Task) -> Picked | None:
    """Read an arm's predictions of the patients that its checkpoints were picked on.

    None for an arm that picks nothing.

    Raises
    ------
    CohortError
        A patient has another role in the fold; the first ones are named.
    """
    path = run.selection(arm)
    if not path.is_file():
        return None
    picked = read_predictions(path, task=task)
    folds = read_splits(run.splits)
    role_of = {fold.number: fold.role_of for fold in folds}
    # Models of another run were picked on its patients, who have no role in this one.
    strange = [
        each.patient_id
        for each in picked
        if role_of.get(each.fold, {}).get(each.patient_id) not in ("select", None)
    ]
    if strange:
        msg = f"{path}: {some(strange)} did not pick the checkpoint of their fold, says "
        msg += f"{run.splits.name}; a threshold fixed on them could be fixed on who is tested: "
        msg += "train again"
        raise CohortError(msg)
    return Picked(Rows.of(picked), _means_of(folds))


def _means_of(folds: Sequence[Fold]) -> dict[int, tuple[int, ...]]:
    """Return the first fold that tests a patient -> all that do: whose mean a prediction is."""
    testing: dict[str, list[int]] = {}
    for fold in folds:
        for patient in fold.test:
            testing.setdefault(patient, []).append(fold.number)
    return {numbers[0]: tuple(numbers) for numbers in testing.values()}
