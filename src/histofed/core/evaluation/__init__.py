"""Predictions -> named numbers with intervals, per patient: a file for each kind of task.

========================  ==========================================================
`rows`                    predictions as arrays
`base`                    a metric, its interval, what is measured of a kind
`binary`                  AUROC, AUPRC, Brier; decisions, calibration, net benefit
`multiclass`              macro AUROC, Hand-Till, balanced accuracy, Brier
`multilabel`              AUROC of every question of a panel, and their mean
`regression`              correlation, variance explained, error
`survival`                concordance, accuracy over time, hazard ratio, risk groups
`picked`                  what is fixed on the selection patients of each fold
`decisions`               thresholds fixed there
`recalibrated`            temperatures fixed there
`risk_groups`             cuts of the risk fixed there
`within_folds`            pairs of patients of the same fold, and why these
`correlation`             correlation within folds
`arms`                    one way of training: sites, groups, against another way
`thirds`                  groups of patients of a column of numbers
`trust`                   coverage, patients unlike those trained on, confounders
========================  ==========================================================

The formulas are those of `histofed.core.metrics` and `histofed.core.survival`.
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

if TYPE_CHECKING:
    from histofed.core.evaluation.base import Measures
    from histofed.core.tasks import Task


def measures_of(task: Task) -> Measures:
    """Return what is measured of a task."""
    from histofed.core.evaluation.binary import BinaryMeasures
    from histofed.core.evaluation.multiclass import MulticlassMeasures
    from histofed.core.evaluation.multilabel import MultilabelMeasures
    from histofed.core.evaluation.regression import RegressionMeasures
    from histofed.core.evaluation.survival import SurvivalMeasures

    if isinstance(task, BinaryTask):
        return BinaryMeasures()
    if isinstance(task, MulticlassTask):
        return MulticlassMeasures(task.classes)
    if isinstance(task, MultilabelTask):
        return MultilabelMeasures(task.questions)
    if isinstance(task, RegressionTask):
        return RegressionMeasures(task.quantities, task.unit)
    assert isinstance(task, SurvivalTask)
    return SurvivalMeasures(task.times)
