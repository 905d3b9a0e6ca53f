"""What `histofed.core.metrics` is computed with: checked inputs, resamples, weighted rank sums.

A resample is a row of counts (how often each patient was drawn), so that a metric is computed for
thousands of resamples at once.

Array suffixes: P patients, R resamples, G groups of tied probabilities, T thresholds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]

CELLS_AT_ONCE = 2_000_000
"""Resamples x patients held in memory at a time; a large cohort is resampled in blocks."""


def check(labels_P: ArrayLike, probabilities_P: ArrayLike) -> tuple[Labels, Floats]:
    """Return labels and probabilities as arrays that the formulas can trust."""
    labels, scores = np.asarray(labels_P), np.asarray(probabilities_P, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape or not len(labels):
        msg = f"one label and one probability per patient, found shapes {labels.shape} and "
        msg += f"{scores.shape}; give two lists of the same length, at least 1"
        raise CohortError(msg)
    if not np.isin(labels, (0, 1)).all():
        odd = labels[~np.isin(labels, (0, 1))][0]
        msg = f"labels of a binary task are 0 and 1, found {odd!s}; map the classes to 0 and 1"
        raise CohortError(msg)
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores))[0])
        msg = f"patient in row {row}: probability {scores[row]} is not a finite number; "
        msg += "the model diverged or the table is damaged"
        raise CohortError(msg)
    return labels.astype(np.int64), scores


def both_classes(labels_P: ArrayLike, probabilities_P: ArrayLike) -> tuple[Labels, Floats]:
    """Return checked labels and finite scores of which both classes have some."""
    labels, scores = check(labels_P, probabilities_P)
    if labels.min() == labels.max():
        msg = f"all {len(labels)} patients have label {labels[0]}: a rank metric needs both "
        msg += "classes; report this group's Brier score, or join it with another group"
        raise CohortError(msg)
    return labels, scores


def check_probabilities(labels_P: ArrayLike, probabilities_P: ArrayLike) -> tuple[Labels, Floats]:
    """Return checked labels and scores that are probabilities."""
    labels, scores = check(labels_P, probabilities_P)
    outside = np.flatnonzero((scores < 0) | (scores > 1))
    if len(outside):
        msg = f"patient in row {outside[0]}: a probability lies in 0..1, found "
        msg += f"{scores[outside[0]]:g}; apply a sigmoid or softmax to logits first"
        raise CohortError(msg)
    return labels, scores


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


def auroc_R(labels: Labels, scores: Floats, counts_RP: Floats) -> Floats:
    """Return the area under the ROC curve of each resample."""
    positive_RG, negative_RG = by_descending_group(labels, scores, counts_RP)
    above_RG = np.cumsum(positive_RG, axis=1) - positive_RG / 2
    pairs_R = positive_RG.sum(axis=1) * negative_RG.sum(axis=1)
    return np.asarray((above_RG * negative_RG).sum(axis=1) / pairs_R)


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


def resamples(labels: Labels, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks of counts ``(R, P)``; within a class they sum to the size of the class."""
    generator = np.random.default_rng(seed)
    block = max(1, CELLS_AT_ONCE // len(labels))
    for start in range(0, n_resamples, block):
        counts_RP = np.zeros((min(block, n_resamples - start), len(labels)))
        for each in np.unique(labels):
            members = np.flatnonzero(labels == each)
            even = np.full(len(members), 1 / len(members))
            counts_RP[:, members] = generator.multinomial(len(members), even, len(counts_RP))
        yield counts_RP
