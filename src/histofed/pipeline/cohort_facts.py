"""``cohort.json``: what is told of a cohort from its features, so that evaluating needs none.

Suffixes: P patients, D features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.metrics.shift import site_known
from histofed.errors import CohortError
from histofed.mil.baseline import linear_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.cohort import Cohort
    from histofed.core.metrics.inputs import Floats, Labels

MOST_FOLDS = 5


def cohort_facts(cohort: Cohort, mean_features: Mapping[str, Floats]) -> dict[str, Any]:
    """Return the patients of each site, and how well mean features tell the sites apart.

    Sites with fewer than two patients cannot be told out of fold, and are left out by name.
    """
    site_of = cohort.site_of
    patients = [patient for patient in cohort.patients if patient in mean_features]
    n_of = {site: list(site_of.values()).count(site) for site in cohort.sites}
    alone = [site for site, n_patients in n_of.items() if n_patients < 2]
    asked = [patient for patient in patients if site_of[patient] not in alone]
    known: dict[str, Any] = {"by_site": {}, "mean": None, "left_out": alone, "reason": ""}
    try:
        found = site_known(
            np.stack([mean_features[patient] for patient in asked]),
            [site_of[patient] for patient in asked],
            _linear,
            n_folds=min([MOST_FOLDS, *(n for n in n_of.values() if n >= 2)]),
        )
        known |= {"by_site": found.by_site, "mean": found.mean}
    except CohortError as error:
        known["reason"] = str(error)
    return {"sites": n_of, "site_from_features": known}


def _linear(features_PD: Floats, classes_P: Labels, asked_PD: Floats) -> Floats:
    """Return the score of each class by the linear model that every model is read beside."""
    return linear_classes(features_PD, classes_P, asked_PD, int(classes_P.max()) + 1)
