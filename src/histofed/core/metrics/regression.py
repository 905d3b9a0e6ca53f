"""Metrics of a task that predicts a number. Suffix: P patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.inputs import check_finite
from histofed.core.metrics.ranks import midranks
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats


def pearson(truth_P: ArrayLike, predicted_P: ArrayLike) -> float:
    """Return the linear correlation, -1..1 (Pearson 1895).

    Raises
    ------
    CohortError
        Lengths that differ, fewer than two patients, values not finite, or a column in which all
        patients are alike: its correlation is not defined, and not 0.
    """
    truth, predicted = _check(truth_P, predicted_P)
    for name, column in (("truth", truth), ("prediction", predicted)):
        if column.min() == column.max():
            msg = f"correlation: the {name} of all {len(column)} patients is {column[0]:g}; it is "
            msg += "not defined for a constant"
            raise CohortError(msg)
    truth, predicted = truth - truth.mean(), predicted - predicted.mean()
    # Scaled first, so that squares of tiny or huge numbers neither vanish nor overflow.
    truth, predicted = truth / np.abs(truth).max(), predicted / np.abs(predicted).max()
    found = truth @ predicted / np.sqrt((truth @ truth) * (predicted @ predicted))
    return float(np.clip(found, -1, 1))


def spearman(truth_P: ArrayLike, predicted_P: ArrayLike) -> float:
    """Return the correlation of ranks, ties sharing their mean rank (Spearman 1904).

    Raises
    ------
    CohortError
        As `pearson`.
    """
    truth, predicted = _check(truth_P, predicted_P)
    return pearson(midranks(truth), midranks(predicted))


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
