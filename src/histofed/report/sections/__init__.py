"""Sections of the report that show an evaluation, a file for each kind of task, and trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.report.sections import binary, multiclass, multilabel, regression, survival

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.evaluation.arms import ArmEvaluation
    from histofed.core.tasks import Task
    from histofed.report.model import Section


def sections_of(task: Task, arms: Sequence[ArmEvaluation]) -> list[Section]:
    """Return what is shown of a task's kind; the first arm is the one shown closest."""
    if isinstance(task, BinaryTask):
        return binary.sections(arms)
    if isinstance(task, MulticlassTask):
        return multiclass.sections(arms)
    if isinstance(task, MultilabelTask):
        return multilabel.sections(arms)
    if isinstance(task, RegressionTask):
        return regression.sections(arms, task)
    assert isinstance(task, SurvivalTask)
    return survival.sections(arms, task)
