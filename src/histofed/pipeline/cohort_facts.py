"""How well the features of a run tell its sites apart, from what its slides are known by.

Suffixes: P patients, D features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.evaluation.base import attempt
from histofed.core.leakage import patient_means
from histofed.core.metrics.shift import site_known
from histofed.io.fingerprints import read_fingerprints
from histofed.mil.baseline import linear_classes

if TYPE_CHECKING:
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats, Labels
    from histofed.io.runs import RunFolder

MOST_FOLDS = 5


def site_from_features(run: RunFolder, rows: Rows) -> dict[str, Any]:
    """Return how well mean features tell the sites of the patients predicted.

    Sites with one patient cannot be told out of fold, and are left out by name.

    Returns
    -------
    found
        ``by_site`` and ``mean`` (AUROC), ``left_out``, and the ``reason`` where there are none.
    """
    if not run.fingerprints.is_file():
        reason = f"{run.fingerprints.name} is not in the run; train again"
        return {"by_site": {}, "mean": None, "left_out": [], "reason": reason}
    means = patient_means(read_fingerprints(run.fingerprints))
    sites, n_patients = np.unique(rows.sites_P, return_counts=True)
    alone = sites[n_patients < 2].tolist()
    asked = rows.take(~np.isin(rows.sites_P, alone))
    found, reason = attempt(
        lambda: site_known(
            np.array([means[patient] for patient in asked.patients_P.tolist()]),
            asked.sites_P,
            _linear,
            n_folds=min([MOST_FOLDS, *n_patients[n_patients >= 2].tolist()]),
        )
    )
    return {
        "by_site": found.by_site if found else {},
        "mean": found.mean if found else None,
        "left_out": alone,
        "reason": reason,
    }


def _linear(features_PD: Floats, classes_P: Labels, asked_PD: Floats) -> Floats:
    """Return the score of each class by the linear model that every model is read beside."""
    return linear_classes(features_PD, classes_P, asked_PD, int(classes_P.max()) + 1)
