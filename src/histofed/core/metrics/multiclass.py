"""Metrics of a task with several classes. Suffixes: P patients, C classes."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.discrimination import auprc, auroc
from histofed.core.metrics.inputs import check_class_probabilities, check_within
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Labels


def macro_auroc(
    labels_P: ArrayLike, probabilities_PC: ArrayLike, *, within_P: ArrayLike | None = None
) -> float:
    """Return the mean over classes of the AUROC of one class against the rest.

    Every class counts the same, but what is in the rest depends on how frequent the others are;
    `hand_till` does not.

    Parameters
    ----------
    within_P
        As of `auroc`.

    Raises
    ------
    CohortError
        As `check_class_probabilities`, a class without patients, or as `auroc`.
    """
    labels, probabilities = _every_class(labels_P, probabilities_PC)
    of_class = [auroc(labels == c, p, within_P=within_P) for c, p in enumerate(probabilities.T)]
    return float(np.mean(of_class))


def macro_auprc(labels_P: ArrayLike, probabilities_PC: ArrayLike) -> float:
    """Return the mean over classes of the average precision of one class against the rest.

    Raises
    ------
    CohortError
        As `macro_auroc`.
    """
    labels, probabilities = _every_class(labels_P, probabilities_PC)
    return float(np.mean([auprc(labels == c, column) for c, column in enumerate(probabilities.T)]))


def hand_till(
    labels_P: ArrayLike, probabilities_PC: ArrayLike, *, within_P: ArrayLike | None = None
) -> float:
    """Return the mean over pairs of classes of the AUROC between the two (Hand & Till 2001).

    For a pair, the mean of ordering its patients by the one class's probability and by the
    other's. Does not depend on how frequent the classes are.

    Parameters
    ----------
    within_P
        As of `auroc`.

    Raises
    ------
    CohortError
        As `macro_auroc`.
    """
    labels, probabilities = _every_class(labels_P, probabilities_PC)
    groups = check_within(within_P, len(labels))
    values = []
    for one, other in combinations(range(probabilities.shape[1]), 2):
        pair = np.isin(labels, (one, other))
        is_one, among = labels[pair] == one, None if groups is None else groups[pair]
        values += [auroc(is_one, probabilities[pair, one], within_P=among)]
        values += [auroc(~is_one, probabilities[pair, other], within_P=among)]
    return float(np.mean(values))


def class_accuracy(labels_P: ArrayLike, probabilities_PC: ArrayLike) -> float:
    """Return balanced accuracy: the mean over classes of the fraction recognised.

    The class called is the most probable one; of equals the first.

    Raises
    ------
    CohortError
        As `macro_auroc`.
    """
    labels, probabilities = _every_class(labels_P, probabilities_PC)
    right = probabilities.argmax(axis=1) == labels
    return float(np.mean([right[labels == c].mean() for c in range(probabilities.shape[1])]))


def class_brier(labels_P: ArrayLike, probabilities_PC: ArrayLike) -> float:
    """Return the mean over patients of the squared distance of all classes' probabilities.

    Brier 1950; 0 is perfect, 2 the worst. For two classes it is twice `brier`.

    Raises
    ------
    CohortError
        As `check_class_probabilities`.
    """
    labels, probabilities = check_class_probabilities(labels_P, probabilities_PC)
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def _every_class(labels_P: ArrayLike, probabilities_PC: ArrayLike) -> tuple[Labels, Floats]:
    """Return checked labels of which every class has some."""
    labels, probabilities = check_class_probabilities(labels_P, probabilities_PC)
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    if not counts.all():
        absent = ", ".join(str(c) for c in np.flatnonzero(counts == 0))
        msg = f"of {counted(len(labels), 'patient')} none is of class {absent}, whose metric is "
        msg += "not defined; join the class with another or report the pairs that exist"
        raise CohortError(msg)
    return labels, probabilities
