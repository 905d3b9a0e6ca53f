"""How well scores order patients: areas under the ROC and precision-recall curves, and the curves.

Array suffixes: P patients, T thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.inputs import both_classes, check_groups, check_within
from histofed.core.metrics.ranks import auprc_R, auroc_R, called_positive, parts
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Labels


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


def auroc(
    labels_P: ArrayLike, probabilities_P: ArrayLike, *, within_P: ArrayLike | None = None
) -> float:
    """Return the area under the ROC curve: P(positive scores higher), a tie counting one half.

    The exact Mann-Whitney statistic (Mann & Whitney 1947; Hanley & McNeil 1982); any finite
    scores are allowed, only their order matters.

    Parameters
    ----------
    within_P
        Only patients with the same value are compared, e.g. those of one fold: the mean of the
        folds' areas, each counting by its pairs.

    Raises
    ------
    CohortError
        One class only, labels other than 0 and 1, values not finite, lengths that differ, or no
        value with both classes.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    found = auroc_R(labels, scores, np.ones((1, len(labels))), check_within(within_P, len(labels)))
    if np.isnan(found[0]):
        raise no_pair(labels)
    return float(found[0])


def no_pair(labels_P: Labels) -> CohortError:
    """Return the refusal of patients of whom no two can be compared."""
    n_positive = int(labels_P.sum())
    msg = f"{counted(n_positive, 'positive patient')} and {len(labels_P) - n_positive} negative, "
    msg += "none with one of the other kind in its fold, and only patients of one fold are "
    msg += "compared; use fewer folds, or join the group with another"
    return CohortError(msg)


def auprc(labels_P: ArrayLike, probabilities_P: ArrayLike) -> float:
    """Return the average precision: the step-wise area under the precision-recall curve.

    No linear interpolation, which is too optimistic (Davis & Goadrich 2006; Boyd et al. 2013);
    tied probabilities are one threshold. The value of chance is the prevalence.

    It is of one list, from the most probable patient on, and has no form over pairs that could be
    asked within folds. The mean of the folds' own values is another number: among few patients
    chance alone gets more than the prevalence (one positive of ten: 0.29).

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


def roc_within(
    labels_P: ArrayLike, probabilities_P: ArrayLike, within_P: ArrayLike
) -> tuple[Floats, Floats]:
    """Return ``(fpr_T, tpr_T)`` of the mean of the ROC curves of each value, e.g. of each fold.

    Vertical (Fawcett 2006): at a false positive rate, which each model reaches at a threshold of
    its own, the mean of the models' true positive rates, each counting by its pairs. The area under
    the line is therefore exactly `auroc` of the same pairs.

    Raises
    ------
    CohortError
        As `auroc`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    rows_of = [
        rows
        for rows in parts(check_groups(within_P, len(labels)), len(labels))
        if 0 < labels[rows].sum() < len(rows)
    ]
    if not rows_of:
        raise no_pair(labels)
    curves = [roc_curve(labels[rows], scores[rows]) for rows in rows_of]
    pairs = [labels[rows].sum() * (1 - labels[rows]).sum() for rows in rows_of]
    fpr_T = np.unique(np.concatenate([curve.x_T for curve in curves]))
    # A curve may rise at a rate: it comes in at the first of the points there, and leaves at the
    # last, which is the one that interp takes.
    low_T, high_T = (
        np.average(each, axis=0, weights=pairs)
        for each in (
            [np.interp(-fpr_T, -curve.x_T[::-1], curve.y_T[::-1]) for curve in curves],
            [np.interp(fpr_T, curve.x_T, curve.y_T) for curve in curves],
        )
    )
    return np.repeat(fpr_T, 2), np.stack([low_T, high_T], axis=1).ravel()


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
