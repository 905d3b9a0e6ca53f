"""The bootstrap band of a ROC curve.

Array suffixes: P patients, R resamples, G groups of tied probabilities, T false positive rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.inputs import both_classes, check_within
from histofed.core.metrics.ranks import by_descending_group, parts
from histofed.core.metrics.resampling import defined, resamples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Labels


def roc_band(
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    *,
    within_P: ArrayLike | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    n_points: int = 101,
) -> tuple[Floats, Floats, Floats]:
    """Return ``(fpr_T, low_T, high_T)``: a pointwise bootstrap band of the true positive rate.

    Vertical, at fixed false positive rates (Fawcett 2006): it holds at each point, not for the
    whole curve at once.

    Parameters
    ----------
    within_P
        The band is that of the mean of the curves of each value, as `roc_within`.

    Raises
    ------
    CohortError
        As `auroc`, or as `defined`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    rows_of = parts(check_within(within_P, len(labels)), len(labels))
    grid_T = np.linspace(0.0, 1.0, n_points)
    tpr_RT = np.concatenate(
        [
            _mean_rates(labels, scores, rows_of, counts_RP, grid_T)
            for counts_RP in resamples(labels, n_resamples, seed)
        ]
    )
    defined(tpr_RT[:, 0], "ROC curve")
    low_T, high_T = np.nanquantile(tpr_RT, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return grid_T, low_T, high_T


def _mean_rates(
    labels: Labels, scores: Floats, rows_of: list[Labels], counts_RP: Floats, grid_T: Floats
) -> Floats:
    """Return each resample's mean true positive rate over parts ``(R, T)``, by their pairs."""
    total_RT, pairs_R = np.zeros((len(counts_RP), len(grid_T))), np.zeros(len(counts_RP))
    for rows in rows_of:
        positive_RG, negative_RG = by_descending_group(
            labels[rows], scores[rows], counts_RP[:, rows]
        )
        here_R = positive_RG.sum(axis=1) * negative_RG.sum(axis=1)
        pairs_R += here_R
        for r in np.flatnonzero(here_R):
            true_T, false_T = (
                np.concatenate([[0.0], np.cumsum(each)]) / each.sum()
                for each in (positive_RG[r], negative_RG[r])
            )
            # On a vertical piece of the curve interp takes the last point, which is the top.
            total_RT[r] += here_R[r] * np.interp(grid_T, false_T, true_T)
    return np.divide(
        total_RT, pairs_R[:, None], out=np.full_like(total_RT, np.nan), where=pairs_R[:, None] > 0
    )
