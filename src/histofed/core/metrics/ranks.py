"""Rank sums of weighted patients, which the metrics of all resamples at once are made of.

A resample is a row of counts (how often each patient was drawn), so that a metric is computed for
thousands of resamples at once.

Array suffixes: P patients, R resamples, G groups of tied probabilities, T thresholds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.metrics.inputs import Floats, Labels


def parts(within_P: NDArray[Any] | None, n_patients: int) -> list[Labels]:
    """Return the rows of the patients of each value; all of them together where there is none."""
    if within_P is None:
        return [np.arange(n_patients)]
    return [np.flatnonzero(within_P == value) for value in np.unique(within_P)]


def midranks(values_P: Floats) -> Floats:
    """Return ranks from 1; equal values share the mean of their ranks."""
    _, group_P, size_G = np.unique(values_P, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(size_G) - (size_G - 1) / 2)[group_P])


def called_positive(labels: Labels, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """Return true and false positives at each falling threshold, from none to everybody."""
    positive_RG, negative_RG = by_descending_group(labels, scores, np.ones((1, len(labels))))
    thresholds_T = np.concatenate([[np.inf], np.unique(scores)[::-1]])
    true_T = np.concatenate([[0.0], np.cumsum(positive_RG[0])])
    return true_T, np.concatenate([[0.0], np.cumsum(negative_RG[0])]), thresholds_T


def by_descending_group(labels: Labels, scores: Floats, counts_RP: Floats) -> tuple[Floats, Floats]:
    """Return positives and negatives ``(R, G)`` per distinct score, the highest first."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    counts_RP, positive_P = counts_RP[:, order], labels[order].astype(np.float64)
    positive_RG = np.add.reduceat(counts_RP * positive_P, starts, axis=1)
    return positive_RG, np.add.reduceat(counts_RP * (1 - positive_P), starts, axis=1)


def auroc_R(
    labels: Labels,
    scores: Floats,
    counts_RP: Floats,
    within_P: NDArray[Any] | None = None,
) -> Floats:
    """Return the area under the ROC curve of each resample; NaN where no pair is compared.

    Parameters
    ----------
    within_P
        Only patients with the same value are compared, e.g. those of one fold.
    """
    right_R, pairs_R = np.zeros(len(counts_RP)), np.zeros(len(counts_RP))
    for rows in parts(within_P, len(labels)):
        positive_RG, negative_RG = by_descending_group(
            labels[rows], scores[rows], counts_RP[:, rows]
        )
        above_RG = np.cumsum(positive_RG, axis=1) - positive_RG / 2
        right_R += (above_RG * negative_RG).sum(axis=1)
        pairs_R += positive_RG.sum(axis=1) * negative_RG.sum(axis=1)
    return np.divide(right_R, pairs_R, out=np.full_like(right_R, np.nan), where=pairs_R > 0)


def auprc_R(labels: Labels, scores: Floats, counts_RP: Floats) -> Floats:
    """Return the average precision of each resample."""
    positive_RG, negative_RG = by_descending_group(labels, scores, counts_RP)
    true_RG = np.cumsum(positive_RG, axis=1)
    called_RG = true_RG + np.cumsum(negative_RG, axis=1)
    # A resample may leave the highest scores undrawn: nobody is called, and nothing is added.
    precision_RG = true_RG / np.maximum(called_RG, 1)
    return np.asarray((precision_RG * positive_RG).sum(axis=1) / true_RG[:, -1])


def brier_R(labels: Labels, scores: Floats, counts_RP: Floats) -> Floats:
    """Return the Brier score of each resample."""
    return np.asarray(counts_RP @ (scores - labels) ** 2 / len(labels))
