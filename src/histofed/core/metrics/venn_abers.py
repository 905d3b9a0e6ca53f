"""Intervals of a probability by Venn-Abers prediction. Array suffixes: P patients, Q calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import isotonic_regression

from histofed.core.metrics.inputs import both_classes, check_finite

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats


def venn_abers(labels_Q: ArrayLike, scores_Q: ArrayLike, scores_P: ArrayLike) -> Floats:
    """Return the low and high probability of the positive class of each new patient, ``(P, 2)``.

    The score of a new patient joins those calibrated on, once as a negative and once as a positive
    one; isotonic regression gives a probability each time (Vovk & Petej 2014). If the new patient
    is like those calibrated on, one of the two is perfectly calibrated, however few they are; how
    far they lie apart says how much their number allows to be said.

    Parameters
    ----------
    labels_Q, scores_Q
        Patients who neither trained nor are tested; of the scores only the order matters.

    Raises
    ------
    CohortError
        As `both_classes`, or a new score is not finite.
    """
    labels, known = both_classes(labels_Q, scores_Q)
    asked = np.asarray(scores_P, dtype=np.float64)
    check_finite("score", asked)
    values, at_Q = np.unique(known, return_inverse=True)
    n_V: Floats = np.bincount(at_Q).astype(np.float64)
    positive_V: Floats = np.bincount(at_Q, weights=labels).astype(np.float64)
    # Only the place among the scores known matters: as many answers as there are places.
    places, which_P = np.unique(asked, return_inverse=True)
    ends = np.array([_ends(values, n_V, positive_V, score) for score in places])
    return ends.reshape(-1, 2)[which_P]


def _ends(values: Floats, n_V: Floats, positive_V: Floats, score: float) -> tuple[float, float]:
    """Return what isotonic regression says of a score that joins as a 0, and as a 1."""
    place = int(np.searchsorted(values, score))
    if place == len(values) or values[place] != score:
        n_V, positive_V = np.insert(n_V, place, 0.0), np.insert(positive_V, place, 0.0)
    found = []
    for label in (0.0, 1.0):
        n, positive = n_V.copy(), positive_V.copy()
        n[place] += 1
        positive[place] += label
        found.append(float(isotonic_regression(positive / n, weights=n).x[place]))
    return found[0], found[1]
