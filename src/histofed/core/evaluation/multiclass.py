"""One question with several answers: predictions -> numbers.

What ranks patients compares those of one fold only (`histofed.core.evaluation.within_folds` says
why); who is called what, and the error of the probabilities, are each patient's own.

Array suffixes: P patients, R resamples, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.evaluation.base import Measures, Metric, Resampling, attempt, interval, pooled
from histofed.core.metrics.discrimination import auroc
from histofed.core.metrics.multiclass import class_accuracy, class_brier, hand_till, macro_auroc
from histofed.core.metrics.ranks import auroc_R

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats, Labels
    from histofed.core.metrics.intervals import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """One class against the rest; ``auroc`` is None, with the reason, where nobody is of one."""

    name: str
    n_patients: int
    auroc: Interval | None
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class MulticlassDetails:
    """What else is told of an arm.

    Attributes
    ----------
    classes
        Names, in the order of rows and columns.
    confusion_CC
        Patients by true class (row) and most probable class (column).
    by_class
        Each class against the rest.
    """

    classes: tuple[str, ...]
    confusion_CC: Labels
    by_class: tuple[ClassResult, ...]


@dataclass(frozen=True)
class MulticlassMeasures(Measures):
    """Macro AUROC, Hand-Till, balanced accuracy, Brier; confusion; every class against the rest."""

    classes: tuple[str, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Two ways to rank, the calls, and the error of the probabilities."""
        return METRICS

    @property
    def beside(self) -> tuple[Metric, ...]:
        """The two ways to rank, whichever folds patients are of."""
        return BESIDE

    def counts(self, rows: Rows) -> dict[str, int]:
        """Return patients, and those of each class."""
        of_class = {
            f"n_{name}": int((rows.label_P == number).sum())
            for number, name in enumerate(self.classes)
        }
        return {"n_patients": len(rows), **of_class}

    def in_words(self, counts: dict[str, int]) -> str:
        """Return how many are of each class."""
        return ", ".join(f"{counts[f'n_{name}']} {name}" for name in self.classes)

    def rarest(self, counts: dict[str, int]) -> tuple[int, str]:
        """Return the rarest class."""
        number, name = min((counts[f"n_{name}"], name) for name in self.classes)
        return number, f"{name} patient"

    def strata(self, rows: Rows) -> NDArray[Any]:
        """Return the classes."""
        return rows.label_P

    def details(
        self, rows: Rows, picked: Picked | None, how: Resampling, *, sensitivity: float | None
    ) -> MulticlassDetails:
        """Return the confusion of classes and each class against the rest."""
        confusion = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        np.add.at(confusion, (rows.label_P, rows.outputs_PV.argmax(axis=1)), 1)
        by_class = []
        for number, name in enumerate(self.classes):
            found, reason = attempt(
                lambda number=number: interval(_against_rest(number), [rows], rows.label_P, how)  # type: ignore[misc]
            )
            n_patients = int((rows.label_P == number).sum())
            by_class.append(
                ClassResult(name=name, n_patients=n_patients, auroc=found, reason=reason)
            )
        return MulticlassDetails(self.classes, confusion, tuple(by_class))


def _against_rest(number: int) -> Metric:
    return Metric(
        "auroc",
        "AUROC against the rest",
        "probability that a patient of the class gets more of its probability than another one of "
        "the same fold",
        lambda rows: auroc(
            rows.label_P == number, rows.outputs_PV[:, number], within_P=rows.folds_P
        ),
        lambda rows, counts_RP: _auroc_R(rows.label_P == number, rows, number, counts_RP),
        chance=0.5,
    )


def macro_auroc_R(rows: Rows, counts_RP: Floats) -> Floats:
    """Return `macro_auroc` of each resample."""
    n_classes = rows.outputs_PV.shape[1]
    found = [_auroc_R(rows.label_P == c, rows, c, counts_RP) for c in range(n_classes)]
    return np.asarray(np.mean(found, axis=0))


def hand_till_R(rows: Rows, counts_RP: Floats) -> Floats:
    """Return `hand_till` of each resample."""
    found = []
    for one, other in combinations(range(rows.outputs_PV.shape[1]), 2):
        pair = np.isin(rows.label_P, (one, other))
        among, counts = rows.take(pair), counts_RP[:, pair]
        found += [_auroc_R(among.label_P == each, among, each, counts) for each in (one, other)]
    return np.asarray(np.mean(found, axis=0))


def class_accuracy_R(rows: Rows, counts_RP: Floats) -> Floats:
    """Return `class_accuracy` of each resample."""
    right_P = (rows.outputs_PV.argmax(axis=1) == rows.label_P).astype(np.float64)
    found = []
    for number in range(rows.outputs_PV.shape[1]):
        members = rows.label_P == number
        found.append(counts_RP[:, members] @ right_P[members] / counts_RP[:, members].sum(axis=1))
    return np.asarray(np.mean(found, axis=0))


def class_brier_R(rows: Rows, counts_RP: Floats) -> Floats:
    """Return `class_brier` of each resample."""
    truth_PC = np.eye(rows.outputs_PV.shape[1])[rows.label_P]
    return np.asarray(counts_RP @ ((rows.outputs_PV - truth_PC) ** 2).sum(axis=1) / len(rows))


def _auroc_R(is_one_P: NDArray[np.bool_], rows: Rows, column: int, counts_RP: Floats) -> Floats:
    scores = rows.outputs_PV[:, column]
    return auroc_R(is_one_P.astype(np.int64), scores, counts_RP, rows.folds_P)


METRICS = (
    Metric(
        "macro_auroc",
        "macro AUROC",
        "mean over classes of the AUROC of one class against the rest of the same fold; 0.5 is "
        "chance",
        lambda rows: macro_auroc(rows.label_P, rows.outputs_PV, within_P=rows.folds_P),
        macro_auroc_R,
        chance=0.5,
    ),
    Metric(
        "hand_till",
        "Hand-Till",
        "mean AUROC over pairs of classes within folds, whatever their frequencies; 0.5 is chance",
        lambda rows: hand_till(rows.label_P, rows.outputs_PV, within_P=rows.folds_P),
        hand_till_R,
        chance=0.5,
    ),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        "mean over classes of the fraction recognised; chance is one over the number of classes",
        lambda rows: class_accuracy(rows.label_P, rows.outputs_PV),
        class_accuracy_R,
    ),
    Metric(
        "brier",
        "Brier",
        "mean squared error of all classes' probabilities, 0 to 2; lower is better",
        lambda rows: class_brier(rows.label_P, rows.outputs_PV),
        class_brier_R,
    ),
)

BESIDE = tuple(pooled(metric) for metric in METRICS[:2])
