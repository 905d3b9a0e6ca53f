"""How well scores order patients: areas under the ROC and precision-recall curves, and the curves.

Array suffixes: P patients, T thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.inputs import both_classes
from histofed.core.metrics.ranks import auprc_R, auroc_R, called_positive

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats


@dataclass(frozen=True, slots=True)
class Curve:
    """A ROC or precision-recall curve, one point per distinct probability.

    Attributes
    ----------
    x_T, y_T
        False and true positive rate (ROC), or recall and precision (precision-recall).
    thresholds_T
        A patient is called positive at this probability or above; the first point is at
        infinity, where nobody is.
    """

    x_T: Floats
    y_T: Floats
    thresholds_T: Floats


def auroc(labels_P: ArrayLike, probabilities_P: ArrayLike) -> float:
    """Return the area under the ROC curve: P(positive scores higher), a tie counting one half.

    The exact Mann-Whitney statistic (Mann & Whitney 1947; Hanley & McNeil 1982); any finite
    scores are allowed, only their order matters.

    Raises
    ------
    CohortError
        One class only, labels other than 0 and 1, values not finite, or lengths that differ.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    return float(auroc_R(labels, scores, np.ones((1, len(labels))))[0])


def auprc(labels_P: ArrayLike, probabilities_P: ArrayLike) -> float:
    """Return the average precision: the step-wise area under the precision-recall curve.

    No linear interpolation, which is too optimistic (Davis & Goadrich 2006; Boyd et al. 2013);
    tied probabilities are one threshold. The value of chance is the prevalence.

    Raises
    ------
    CohortError
        As `auroc`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    return float(auprc_R(labels, scores, np.ones((1, len(labels))))[0])


def roc_curve(labels_P: ArrayLike, probabilities_P: ArrayLike) -> Curve:
    """Return false and true positive rates from (0, 0) to (1, 1) (Fawcett 2006).

    Raises
    ------
    CohortError
        As `auroc`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    true_T, false_T, thresholds_T = called_positive(labels, scores)
    return Curve(false_T / false_T[-1], true_T / true_T[-1], thresholds_T)


def pr_curve(labels_P: ArrayLike, probabilities_P: ArrayLike) -> Curve:
    """Return recall and precision; `auprc` is the area under its steps (Davis & Goadrich 2006).

    The first point is (0, 1) by convention: nobody called, nobody called wrongly.

    Raises
    ------
    CohortError
        As `auroc`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    true_T, false_T, thresholds_T = called_positive(labels, scores)
    precision_T = np.ones_like(true_T)
    precision_T[1:] = true_T[1:] / (true_T[1:] + false_T[1:])
    return Curve(true_T / true_T[-1], precision_T, thresholds_T)
