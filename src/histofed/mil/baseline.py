"""Mean-pooled logistic regression: the number that every model must be read beside.

Each patient is the mean of its tiles' features; standardisation and regression are fitted on the
training and selection patients together, since nothing is selected here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.splits import Fold
    from histofed.mil.bags import Bag

INVERSE_PENALTY = 0.01
"""Strong shrinkage: there are far more features than patients."""


def mean_pool_probabilities(bags: Mapping[str, Bag], fold: Fold) -> dict[str, float]:
    """Return test patient -> probability of the positive class."""
    fitted = [patient for patient in (*fold.train, *fold.select) if patient in bags]
    tested = [patient for patient in fold.test if patient in bags]

    def means(patients: list[str]) -> np.ndarray:
        return np.stack([bags[p].features_ND.float().mean(dim=0).numpy() for p in patients])

    model = make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=2000))
    model.fit(means(fitted), [bags[patient].label for patient in fitted])
    probabilities = model.predict_proba(means(tested))[:, 1]
    return dict(zip(tested, probabilities.tolist(), strict=True))
