"""Metrics of a task that predicts a number. Suffix: P patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as student_t

from histofed.core.metrics.inputs import check_finite, check_within
from histofed.core.metrics.ranks import midranks, parts
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Labels


def pearson(
    truth_P: ArrayLike, predicted_P: ArrayLike, *, within_P: ArrayLike | None = None
) -> float:
    """Return the linear correlation, -1..1 (Pearson 1895).

    Parameters
    ----------
    within_P
        Numbers are taken around the mean of their value, e.g. of their fold: the partial
        correlation, given the fold, so patients of two folds are not compared.

    Raises
    ------
    CohortError
        Lengths that differ, fewer than two patients, values not finite, or a column in which all
        patients (or all of each fold) are alike: its correlation is not defined, and not 0.
    """
    truth, predicted = _check(truth_P, predicted_P)
    rows_of = parts(check_within(within_P, len(truth)), len(truth))
    for name, column in (("truth", truth), ("prediction", predicted)):
        if column.min() == column.max():
            msg = f"correlation: the {name} of all {len(column)} patients is {column[0]:g}; it is "
            msg += "not defined for a constant"
            raise CohortError(msg)
        if not any(np.ptp(column[rows]) for rows in rows_of):
            msg = f"correlation: the {name} is the same for all patients of a fold, in each of "
            msg += f"{len(rows_of)} folds, and only patients of one fold are compared; use fewer "
            msg += "folds, or join the group with another"
            raise CohortError(msg)
    # Scaled first, so that squares of tiny or huge numbers neither vanish nor overflow.
    truth, predicted = (scaled(each, rows_of) for each in (truth, predicted))
    found = truth @ predicted / np.sqrt((truth @ truth) * (predicted @ predicted))
    return float(np.clip(found, -1, 1))


def spearman(
    truth_P: ArrayLike, predicted_P: ArrayLike, *, within_P: ArrayLike | None = None
) -> float:
    """Return the correlation of ranks, ties sharing their mean rank (Spearman 1904).

    Parameters
    ----------
    within_P
        Patients are ranked among those of their value, e.g. of their fold, and a rank is a part of
        their number: without ties the mean of the folds' own correlations, by their patients.

    Raises
    ------
    CohortError
        As `pearson`.
    """
    truth, predicted = _check(truth_P, predicted_P)
    rows_of = parts(check_within(within_P, len(truth)), len(truth))
    ranks = (shares(each, rows_of) for each in (truth, predicted))
    return pearson(*ranks, within_P=within_P)


def no_correlation_p(
    truth_P: ArrayLike, predicted_P: ArrayLike, *, within_P: ArrayLike | None = None
) -> float | None:
    """Return the one-sided p-value of no linear correlation (Student's t; Fisher 1924).

    Within folds a degree of freedom is lost for each. None where there is nothing left, or as
    `pearson`.

    Parameters
    ----------
    within_P
        As of `pearson`.
    """
    truth, _ = _check(truth_P, predicted_P)
    free = len(truth) - len(parts(check_within(within_P, len(truth)), len(truth))) - 1
    try:
        found = pearson(truth_P, predicted_P, within_P=within_P)
    except CohortError:
        return None
    if free < 1:
        return None
    if abs(found) == 1:
        return float(found < 0)
    return float(student_t.sf(found * np.sqrt(free / (1 - found * found)), free))


def scaled(values_P: Floats, rows_of: list[Labels]) -> Floats:
    """Return values around the mean of their part, of a size whose squares are of use."""
    around = np.empty_like(values_P)
    for rows in rows_of:
        # From the first one on: the mean of equal numbers need not be exactly that number.
        above = values_P[rows] - values_P[rows[0]]
        around[rows] = above - above.mean()
    return np.asarray(around / (np.abs(around).max() or 1.0))


def shares(values_P: Floats, rows_of: list[Labels]) -> Floats:
    """Return the rank of each patient in its part, around the middle, as a part of its number."""
    ranks = np.empty_like(values_P)
    for rows in rows_of:
        ranks[rows] = (midranks(values_P[rows]) - (len(rows) + 1) / 2) / len(rows)
    return ranks


def r_squared(truth_P: ArrayLike, predicted_P: ArrayLike) -> float:
    """Return the fraction of the variance explained; below 0 the mean would have done better.

    Against the mean of these patients, so a shift of the predictions counts: it is not the square
    of `pearson`.

    Raises
    ------
    CohortError
        As `pearson`; only the truth must vary.
    """
    truth, predicted = _check(truth_P, predicted_P)
    around_mean = float(((truth - truth.mean()) ** 2).sum())
    if truth.min() == truth.max():
        msg = f"R2: the truth of all {len(truth)} patients is {truth[0]:g}; there is no variance "
        msg += "to explain"
        raise CohortError(msg)
    return 1 - float(((truth - predicted) ** 2).sum()) / around_mean


def mean_absolute_error(truth_P: ArrayLike, predicted_P: ArrayLike) -> float:
    """Return the mean distance of prediction and truth, in the task's unit.

    Raises
    ------
    CohortError
        Lengths that differ, fewer than two patients, or values not finite.
    """
    truth, predicted = _check(truth_P, predicted_P)
    return float(np.abs(truth - predicted).mean())


def _check(truth_P: ArrayLike, predicted_P: ArrayLike) -> tuple[Floats, Floats]:
    truth = np.asarray(truth_P, dtype=np.float64)
    predicted = np.asarray(predicted_P, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != predicted.shape or len(truth) < 2:
        msg = f"one true and one predicted number per patient, found shapes {truth.shape} and "
        msg += f"{predicted.shape}; give two lists of the same length, at least 2"
        raise CohortError(msg)
    check_finite("true value", truth)
    check_finite("predicted value", predicted)
    return truth, predicted
