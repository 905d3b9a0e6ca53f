"""A linear model of mean-pooled features: the numbers that every model must be read beside.

Each patient is the mean of its tiles' features. Training and selection patients are fitted
together, since nothing is selected here.

Suffixes: P patients, D features, K numbers of a label, V numbers of a prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histofed.core.survival.ridge_cox import ridge_cox
from histofed.core.tasks import (
    BinaryTask,
    ClassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.metrics.inputs import Floats, Labels
    from histofed.core.splits import Fold
    from histofed.core.tasks import Label, Task

PENALTY = 100.0
"""Strong shrinkage: there are far more features than patients."""

COX_PENALTY = 1.0
"""The same, in the scale of `histofed.core.survival.ridge_cox`."""


def mean_pool_outputs(
    means: Mapping[str, Floats], labels: Mapping[str, Label], fold: Fold, task: Task
) -> dict[str, tuple[float, ...]]:
    """Return test patient -> the numbers that ``task.output_names`` names.

    Parameters
    ----------
    means
        Patient -> mean of the patient's features, ``(D,)``.
    labels
        Patient -> label; those of the tested ones are not read.
    """
    fitted = (*fold.train, *fold.select)
    outputs_PV = linear_outputs(
        task,
        np.stack([means[patient] for patient in fitted]),
        np.array([labels[patient] for patient in fitted]),
        np.stack([means[patient] for patient in fold.test]),
    )
    return dict(zip(fold.test, map(tuple, outputs_PV.tolist()), strict=True))


def linear_outputs(
    task: Task, features_PD: Floats, labels_PK: Floats, tested_PD: Floats, *, shrink: float = 1.0
) -> Floats:
    """Fit the linear model of a task, and return the outputs of the tested patients, ``(P, V)``.

    Parameters
    ----------
    shrink
        Times the usual penalty: less where there are few covariates.
    """
    if isinstance(task, ClassTask):
        n_classes = len(task.classes)
        found = linear_classes(features_PD, labels_PK[:, 0], tested_PD, n_classes, shrink)
        return found[:, 1:] if isinstance(task, BinaryTask) else found
    if isinstance(task, MultilabelTask):
        columns = []
        for label_P in labels_PK.T:
            known = ~np.isnan(label_P)
            columns.append(
                linear_classes(features_PD[known], label_P[known], tested_PD, 2, shrink)[:, 1]
            )
        return np.stack(columns, axis=1)
    if isinstance(task, RegressionTask):
        columns = []
        for label_P in labels_PK.T:
            known = ~np.isnan(label_P)
            model = make_pipeline(StandardScaler(), Ridge(alpha=shrink * PENALTY))
            model.fit(features_PD[known], label_P[known])
            columns.append(model.predict(tested_PD))
        return np.stack(columns, axis=1)
    assert isinstance(task, SurvivalTask)
    time_P, event_P = labels_PK.T
    cox = ridge_cox(time_P, event_P, features_PD, penalty=shrink * COX_PENALTY)
    unknown = np.full((len(tested_PD), len(task.times)), np.nan)
    return np.column_stack([cox.risk(tested_PD), unknown])


def linear_classes(
    features_PD: Floats,
    label_P: Floats | Labels,
    tested_PD: Floats,
    n_classes: int,
    shrink: float = 1.0,
) -> Floats:
    """Return the probability of each class ``(P, C)``; 0 for one that nobody fitted belongs to."""
    linear = LogisticRegression(C=1 / (shrink * PENALTY), max_iter=2000)
    # Nothing can be told apart where all are alike: everybody gets the one class.
    model = linear if len(set(label_P)) > 1 else DummyClassifier(strategy="prior")
    pipeline = make_pipeline(StandardScaler(), model)
    pipeline.fit(features_PD, label_P.astype(int))
    found = np.zeros((len(tested_PD), n_classes))
    found[:, pipeline[-1].classes_] = pipeline.predict_proba(tested_PD)
    return found
