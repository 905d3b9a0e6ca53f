"""Every kind of task is measured, and what is fixed on selection patients names its fold."""

from __future__ import annotations

import numpy as np
import pytest

from histofed.core.evaluation import measures_of
from histofed.core.evaluation.picked import Picked, by_fold
from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.errors import CohortError

TASKS = [
    BinaryTask(name="t", column="x"),
    MulticlassTask(name="t", column="x", classes=("a", "b", "c")),
    MultilabelTask(name="t", questions=("a", "b")),
    RegressionTask(name="t", quantities=("a",)),
    SurvivalTask(name="t", column="x", event_column="y", times=(1.0, 2.0)),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_every_kind_has_metrics_that_say_what_they_mean(task):
    metrics = measures_of(task).metrics
    assert len({metric.name for metric in metrics}) == len(metrics) >= 2
    assert metrics[0].chance is not None
    assert all(metric.title and metric.meaning for metric in metrics)


@pytest.mark.parametrize(
    ("number", "counts", "said"),
    [
        (0, {"n_patients": 20, "n_positive": 10}, ""),
        (0, {"n_patients": 19, "n_positive": 10}, "9 negative patients: "),
        (0, {"n_patients": 6, "n_positive": 1}, "1 positive patient: "),
        (1, {"n_patients": 40, "n_a": 20, "n_b": 3, "n_c": 17}, "3 b patients: "),
        (3, {"n_patients": 9, "n_known": 9}, "9 patients: "),
        (4, {"n_patients": 90, "n_events": 4}, "4 events: "),
    ],
)
def test_few_of_a_kind_are_said(number, counts, said):
    words = measures_of(TASKS[number]).few(counts)
    assert words.startswith(said)
    assert bool(words) == bool(said)


def test_what_a_fold_cannot_fix_is_said_of_that_fold(rows_of):
    rows = rows_of([0, 1, 0], [0.1, 0.2, 0.3], folds=[0, 2, 2])

    def fix(here):
        if len(here) < 2:
            raise CohortError("too few")
        return (float(here.output_P.max()),)

    with pytest.raises(CohortError, match="cut: selection patients of fold 0: too few"):
        by_fold(rows, Picked(rows), fix, what="cut")
    both = rows.take(np.array([1, 2]))
    assert by_fold(both, Picked(rows), fix, what="cut") == {2: (0.3,)}


def test_a_mean_of_several_models_gets_the_mean_of_what_their_patients_fix(rows_of):
    picked = rows_of(np.zeros(4), [0.1, 0.3, 0.5, 0.7], folds=[0, 0, 1, 1])
    external = rows_of(np.zeros(2), [0.2, 0.4])

    def fix(here):
        return (here.output_P.max(), here.output_P.min())

    found = by_fold(external, Picked(picked, {0: (0, 1)}), fix, what="cut")
    assert found == {0: pytest.approx((0.5, 0.3))}
