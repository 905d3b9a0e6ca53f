"""Decisions at a threshold: who is called positive, what that finds, misses and costs.

A threshold is chosen on the selection fold and applied to the reported one; chosen where it is
reported, its sensitivity is a wish. A patient is called positive at the threshold or above.

Array suffixes: P patients, T thresholds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.inputs import both_classes, check, check_probabilities
from histofed.core.metrics.intervals import Interval, wilson
from histofed.core.metrics.ranks import called_positive
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The four counts of a decision at ``threshold``, and what follows from them.

    A fraction of nobody is None: if nobody is called positive there is no predictive value.
    """

    threshold: float
    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int

    @property
    def sensitivity(self) -> Interval | None:
        """Of the positive patients, the fraction called."""
        return _fraction(self.true_positive, self.false_negative)

    @property
    def specificity(self) -> Interval | None:
        """Of the negative patients, the fraction not called."""
        return _fraction(self.true_negative, self.false_positive)

    @property
    def ppv(self) -> Interval | None:
        """Of the patients called, the fraction that is positive; depends on the prevalence."""
        return _fraction(self.true_positive, self.false_positive)

    @property
    def npv(self) -> Interval | None:
        """Of the patients not called, the fraction that is negative; depends on the prevalence."""
        return _fraction(self.true_negative, self.false_negative)

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of sensitivity and specificity; `balanced_accuracy` can be bootstrapped."""
        if self.sensitivity is None or self.specificity is None:
            return None
        return (self.sensitivity.value + self.specificity.value) / 2

    @property
    def tests_saved(self) -> float:
        """Fraction of all patients that a pre-screening spares the confirmatory test."""
        spared = self.true_negative + self.false_negative
        return spared / (spared + self.true_positive + self.false_positive)


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit over thresholds, beside those of treating everybody; treating nobody is 0."""

    thresholds_T: Floats
    model_T: Floats
    everybody_T: Floats


def threshold_at_sensitivity(
    labels_P: ArrayLike, probabilities_P: ArrayLike, *, sensitivity: float
) -> float:
    """Return the highest threshold that finds at least this fraction of the positive patients.

    For a pre-screening, whose missed patients cost more than its needless tests.

    Raises
    ------
    CohortError
        No positive patient, or a sensitivity outside (0, 1].
    """
    labels, scores = check(labels_P, probabilities_P)
    if not 0 < sensitivity <= 1:
        msg = f"a target sensitivity lies in (0, 1], found {sensitivity:g}"
        raise CohortError(msg)
    found_first = np.sort(scores[labels == 1])[::-1]
    if not len(found_first):
        msg = f"threshold: none of {len(labels)} patients is positive, so no threshold finds any; "
        msg += "select on a fold that has both classes"
        raise CohortError(msg)
    # 0.56 * 25 is 14.000000000000002 in floating point, and 15 patients would be asked for.
    needed = math.ceil(round(sensitivity * len(found_first), 9))
    return float(found_first[needed - 1])


def threshold_of_best_balance(labels_P: ArrayLike, probabilities_P: ArrayLike) -> float:
    """Return the threshold of the highest balanced accuracy (Youden 1950); of equals the highest.

    Raises
    ------
    CohortError
        One class only.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    true_T, false_T, thresholds_T = called_positive(labels, scores)
    # The first threshold is infinite: nobody called. A rule that calls nobody is none.
    youden_T = true_T[1:] / true_T[-1] - false_T[1:] / false_T[-1]
    return float(thresholds_T[1:][np.argmax(youden_T)])


def operating_point(
    labels_P: ArrayLike, probabilities_P: ArrayLike, *, threshold: float
) -> OperatingPoint:
    """Return what calling every patient at ``threshold`` or above finds and misses.

    Raises
    ------
    CohortError
        Lengths that differ, labels other than 0 and 1, or values not finite.
    """
    labels, scores = check(labels_P, probabilities_P)
    called, positive = scores >= threshold, labels == 1
    return OperatingPoint(
        threshold=threshold,
        true_positive=int((called & positive).sum()),
        false_positive=int((called & ~positive).sum()),
        true_negative=int((~called & ~positive).sum()),
        false_negative=int((~called & positive).sum()),
    )


def balanced_accuracy(
    labels_P: ArrayLike, probabilities_P: ArrayLike, *, threshold: float
) -> float:
    """Return the mean of sensitivity and specificity; for `bootstrap`, bind the threshold.

    Raises
    ------
    CohortError
        One class only.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    called = scores >= threshold
    return float((called[labels == 1].mean() + (~called[labels == 0]).mean()) / 2)


def net_benefit(labels_P: ArrayLike, probabilities_P: ArrayLike, *, threshold: float) -> float:
    """Return true positives minus false positives at their exchange rate, per patient.

    Vickers & Elkin 2006: who treats at probability t thinks one missed patient as bad as
    (1 - t) / t treated in vain.

    Raises
    ------
    CohortError
        As `brier`, or a threshold outside (0, 1).
    """
    curve = decision_curve(labels_P, probabilities_P, thresholds_T=[threshold])
    return float(curve.model_T[0])


def decision_curve(
    labels_P: ArrayLike, probabilities_P: ArrayLike, *, thresholds_T: ArrayLike
) -> DecisionCurve:
    """Return the net benefit at each threshold probability (Vickers & Elkin 2006).

    Raises
    ------
    CohortError
        As `net_benefit`.
    """
    labels, probabilities = check_probabilities(labels_P, probabilities_P)
    at_T = np.asarray(thresholds_T, dtype=np.float64)
    if not ((at_T > 0) & (at_T < 1)).all():
        odd = at_T[~((at_T > 0) & (at_T < 1))][0]
        msg = f"net benefit: a threshold probability lies in (0, 1), found {odd:g}"
        raise CohortError(msg)
    n, odds_T = len(labels), at_T / (1 - at_T)
    positive = np.sort(probabilities[labels == 1])
    negative = np.sort(probabilities[labels == 0])
    true_T = len(positive) - np.searchsorted(positive, at_T, side="left")
    false_T = len(negative) - np.searchsorted(negative, at_T, side="left")
    return DecisionCurve(
        thresholds_T=at_T,
        model_T=(true_T - odds_T * false_T) / n,
        everybody_T=(len(positive) - odds_T * len(negative)) / n,
    )


def _fraction(of: int, rest: int) -> Interval | None:
    return wilson(of, of + rest) if of + rest else None
