"""Correlation of predicted and true numbers within folds, and errors, for all resamples at once.

Array suffixes: P patients, R resamples, F folds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.ranks import parts
from histofed.core.metrics.regression import scaled, shares

if TYPE_CHECKING:
    from histofed.core.metrics.inputs import Floats, Labels

LEAST_VARIANCE = 1e-12
"""Of a resample, beside that of all patients: below it they are all alike but for rounding."""


def pearson_R(truth_P: Floats, predicted_P: Floats, counts_RP: Floats, folds_P: Labels) -> Floats:
    """Return `pearson` of each resample; NaN where all its patients of a fold are alike."""
    rows_of = parts(folds_P, len(folds_P))
    truth, predicted = (scaled(each, rows_of) for each in (truth_P, predicted_P))
    return _correlation_R(truth, predicted, counts_RP, folds_P)


def spearman_R(truth_P: Floats, predicted_P: Floats, counts_RP: Floats, folds_P: Labels) -> Floats:
    """Return `spearman` of each resample, which has ranks of its own."""
    truth_RP, predicted_RP = (
        _shares_R(each, counts_RP, folds_P) for each in (truth_P, predicted_P)
    )
    return _correlation_R(truth_RP, predicted_RP, counts_RP, folds_P)


def spearman_kept_R(
    truth_P: Floats, predicted_P: Floats, counts_RP: Floats, folds_P: Labels
) -> Floats:
    """Return the correlation within each resample of the ranks that patients have among all."""
    rows_of = parts(folds_P, len(folds_P))
    truth, predicted = (shares(each, rows_of) for each in (truth_P, predicted_P))
    return _correlation_R(truth, predicted, counts_RP, folds_P)


def r_squared_R(truth_P: Floats, predicted_P: Floats, counts_RP: Floats) -> Floats:
    """Return `r_squared` of each resample; NaN where all its patients are alike."""
    around = truth_P - truth_P.mean()
    n_R = counts_RP.sum(axis=1)
    variance_R = counts_RP @ around**2 / n_R - (counts_RP @ around / n_R) ** 2
    variance_R[variance_R <= LEAST_VARIANCE * around.var()] = np.nan
    return np.asarray(1 - counts_RP @ (truth_P - predicted_P) ** 2 / n_R / variance_R)


def mean_absolute_error_R(truth_P: Floats, predicted_P: Floats, counts_RP: Floats) -> Floats:
    """Return `mean_absolute_error` of each resample."""
    return np.asarray(counts_RP @ np.abs(truth_P - predicted_P) / counts_RP.sum(axis=1))


def _correlation_R(x: Floats, y: Floats, counts_RP: Floats, folds_P: Labels) -> Floats:
    """Return the correlation of columns ``(P,)``, or of columns of each resample ``(R, P)``."""
    fold_PF = (folds_P[:, None] == np.unique(folds_P)).astype(np.float64)
    n_RF = np.maximum(counts_RP @ fold_PF, 1)  # of a fold that nobody was drawn from all is 0

    def total(values: Floats, of_PF: Floats) -> Floats:
        if values.ndim == 1:
            return np.asarray(counts_RP @ (values[:, None] * of_PF))
        return np.asarray((counts_RP * values) @ of_PF)

    x_RF, y_RF = total(x, fold_PF), total(y, fold_PF)
    everybody = np.ones((len(folds_P), 1))
    xx_R, yy_R, xy_R = (total(each, everybody)[:, 0] for each in (x * x, y * y, x * y))
    around_x, around_y, around_both = (
        total_R - (one_RF * other_RF / n_RF).sum(axis=1)
        for total_R, one_RF, other_RF in (
            (xx_R, x_RF, x_RF),
            (yy_R, y_RF, y_RF),
            (xy_R, x_RF, y_RF),
        )
    )
    for around_R, squares_R in ((around_x, xx_R), (around_y, yy_R)):
        around_R[around_R <= LEAST_VARIANCE * squares_R] = np.nan
    return np.asarray(np.clip(around_both / np.sqrt(around_x * around_y), -1, 1))


def _shares_R(values_P: Floats, counts_RP: Floats, folds_P: Labels) -> Floats:
    """Return `shares` of each patient within each resample, ``(R, P)``."""
    found_RP = np.empty_like(counts_RP)
    for rows in parts(folds_P, len(folds_P)):
        counts = counts_RP[:, rows]
        _, group_P = np.unique(values_P[rows], return_inverse=True)
        order = np.argsort(group_P, kind="stable")
        starts = np.flatnonzero(np.diff(group_P[order], prepend=-1))
        size_RG = np.add.reduceat(counts[:, order], starts, axis=1)
        n_R1 = counts.sum(axis=1, keepdims=True)
        ranks_RG = np.cumsum(size_RG, axis=1) - size_RG / 2 - n_R1 / 2
        found_RP[:, rows] = (ranks_RG / np.maximum(n_R1, 1))[:, group_P]
    return found_RP
