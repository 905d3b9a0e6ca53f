"""What is refused before any formula runs: tables that do not fit, values that are no numbers.

Array suffixes: P patients, C classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


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
    check_finite("probability", scores)
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
    check_within_one(scores)
    return labels, scores


def check_finite(what: str, values: Floats) -> None:
    """Refuse NaN and infinity; rows are patients."""
    finite_P = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite_P.all():
        row = int(np.flatnonzero(~finite_P)[0])
        found = values[row] if values.ndim == 1 else values[row][~np.isfinite(values[row])][0]
        msg = f"patient in row {row}: {what} {found} is not a finite number; "
        msg += "the model diverged or the table is damaged"
        raise CohortError(msg)


def check_within_one(probabilities: Floats) -> None:
    """Refuse what is no probability; rows are patients."""
    outside = np.argwhere((probabilities < 0) | (probabilities > 1))
    if len(outside):
        found = probabilities[tuple(outside[0])]
        msg = f"patient in row {outside[0][0]}: a probability lies in 0..1, found "
        msg += f"{found:g}; apply a sigmoid or softmax to logits first"
        raise CohortError(msg)


def check_groups(groups_P: ArrayLike, n_patients: int) -> NDArray[np.str_]:
    """Return the group of every patient as text."""
    groups = np.asarray(groups_P).astype(np.str_)
    if groups.shape != (n_patients,):
        msg = f"one group per patient: {n_patients} patients, groups of shape {groups.shape}"
        raise CohortError(msg)
    return groups


def check_within(within_P: ArrayLike | None, n_patients: int) -> NDArray[np.str_] | None:
    """Return the part of every patient as text; None where all are compared with all."""
    return None if within_P is None else check_groups(within_P, n_patients)


def check_classes(labels_P: ArrayLike, scores_PC: ArrayLike) -> tuple[Labels, Floats]:
    """Return labels 0..C-1 and one finite score per class; C is at least 2.

    Raises
    ------
    CohortError
        Shapes that do not fit, labels that name no class, or scores that are no numbers.
    """
    labels, scores = np.asarray(labels_P), np.asarray(scores_PC, dtype=np.float64)
    several = scores.ndim == 2 and len(scores) > 0 and scores.shape[1] >= 2
    if not several or labels.shape != scores.shape[:1]:
        msg = f"one label and C >= 2 scores per patient, found shapes {labels.shape} and "
        msg += f"{scores.shape}; give (P,) and (P, C)"
        raise CohortError(msg)
    classes = np.arange(scores.shape[1])
    if not np.isin(labels, classes).all():
        row = int(np.flatnonzero(~np.isin(labels, classes))[0])
        msg = f"patient in row {row}: label {labels[row]} is none of the {len(classes)} classes "
        msg += f"0..{classes[-1]}; correct the task's classes"
        raise CohortError(msg)
    check_finite("score", scores)
    return labels.astype(np.int64), scores


def check_class_probabilities(
    labels_P: ArrayLike, probabilities_PC: ArrayLike
) -> tuple[Labels, Floats]:
    """Return what `check_classes` does, of probabilities that sum to one."""
    labels, probabilities = check_classes(labels_P, probabilities_PC)
    check_within_one(probabilities)
    sums = probabilities.sum(axis=1)
    if (np.abs(sums - 1) > 1e-4).any():
        row = int(np.argmax(np.abs(sums - 1)))
        msg = f"patient in row {row}: the probabilities of the classes sum to {sums[row]:g}, "
        msg += "not 1; apply a softmax to logits first"
        raise CohortError(msg)
    return labels, probabilities
