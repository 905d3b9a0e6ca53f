"""What training asks of a model: one objective per kind of task.

============  =====================================================================
`base`        what every objective can do
`binary`      binary cross-entropy
`multiclass`  cross-entropy
`multilabel`  binary cross-entropy over the questions that were answered
`regression`  squared error of standardised numbers, over those that are known
`hazard`      survival as hazards of discrete times
`cox`         survival by the partial likelihood
============  =====================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.mil.objectives.base import Objective
from histofed.mil.objectives.binary import Binary
from histofed.mil.objectives.cox import Cox
from histofed.mil.objectives.hazard import Hazard
from histofed.mil.objectives.multiclass import Multiclass
from histofed.mil.objectives.multilabel import Multilabel
from histofed.mil.objectives.regression import Regression

if TYPE_CHECKING:
    from histofed.core.tasks import Task

__all__ = ["Objective", "objective_of"]


def objective_of(task: Task, *, survival: str = "hazard") -> Objective:
    """Return the objective of a task.

    Parameters
    ----------
    survival
        ``hazard`` or ``cox``: how times to an event are learned.
    """
    if isinstance(task, BinaryTask):
        return Binary()
    if isinstance(task, MulticlassTask):
        return Multiclass(task.classes)
    if isinstance(task, MultilabelTask):
        return Multilabel(task.questions)
    if isinstance(task, RegressionTask):
        return Regression(task.quantities)
    assert isinstance(task, SurvivalTask)
    return Cox(n_times=len(task.times)) if survival == "cox" else Hazard(task.times)
