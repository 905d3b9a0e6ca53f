"""Straightening probabilities: calibration slope and intercept, temperature.

Array suffixes: P patients, C classes, K coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from histofed.core.metrics.inputs import check_classes, check_probabilities
from histofed.core.metrics.intervals import Interval, wald
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Labels

CLOSEST_TO_CERTAIN = 1e-7
"""A sigmoid in float32 rounds to exactly 0 or 1; such a probability is taken to be this far off."""


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Logistic recalibration of predicted probabilities.

    Attributes
    ----------
    slope
        1 is right; below 1 the predictions are too extreme, above 1 too timid.
    intercept
        0 is right; below 0 the predictions are too high on the whole. Log odds, fitted with the
        slope held at 1 ("calibration in the large").
    """

    slope: Interval
    intercept: Interval


def recalibration(
    labels_P: ArrayLike, probabilities_P: ArrayLike, *, level: float = 0.95
) -> Recalibration:
    """Return calibration slope and intercept with Wald intervals (Cox 1958; Van Calster 2019).

    Raises
    ------
    CohortError
        As `brier`; or the fit does not exist: one class only, one probability for everybody, or
        probabilities that separate the classes (Albert & Anderson 1984).
    """
    labels, probabilities = check_probabilities(labels_P, probabilities_P)
    _check_overlap(labels, _uncertain(probabilities))
    odds = log_odds(probabilities)
    # Centred, the two columns are nearly orthogonal and Newton's steps stay short.
    design = np.column_stack([odds - odds.mean(), np.ones_like(odds)])
    (slope, _), slope_errors = _logistic(design, labels, np.zeros_like(odds))
    (intercept,), intercept_errors = _logistic(np.ones((len(labels), 1)), labels, odds)
    return Recalibration(
        slope=wald(float(slope), float(slope_errors[0]), level=level),
        intercept=wald(float(intercept), float(intercept_errors[0]), level=level),
    )


def temperature(labels_P: ArrayLike, logits_PC: ArrayLike) -> float:
    """Return the temperature that makes ``softmax(logits / temperature)`` most likely.

    Guo et al. 2017. Fit it on the selection fold, never on the reported one. The order of the
    patients' scores does not change. A binary model's logit z is the row ``(0, z)``.

    Raises
    ------
    CohortError
        Shapes or labels that do not fit; or no temperature is best: every patient's class has the
        highest logit (colder is always better), or the logits are no better than none.
    """
    labels, logits = check_classes(labels_P, logits_PC)
    logits = logits - logits.max(axis=1, keepdims=True)
    of_label = logits[np.arange(len(labels)), labels]

    def gradient(coldness: float) -> float:
        """Derivative of the negative log likelihood, which is convex, in 1 / temperature."""
        weights = np.exp(coldness * logits)
        mean_logit = (weights * logits).sum(axis=1) / weights.sum(axis=1)
        return float((mean_logit - of_label).sum())

    if (of_label == 0).all():
        msg = f"temperature: all {len(labels)} patients are classified rightly, so any smaller "
        msg += "temperature is better; select on more patients, or leave the logits as they are"
        raise CohortError(msg)
    # Logits that cancel leave a rounding error, which is no slope.
    if gradient(0.0) >= -1e-12 * np.abs(logits).sum():
        msg = f"temperature: the logits of these {len(labels)} patients tell no more than chance, "
        msg += "so no temperature is best; the model has not learned the task"
        raise CohortError(msg)
    coldest = 1.0
    while gradient(coldest) < 0:
        coldest *= 2
    return 1 / float(brentq(gradient, 0.0, coldest))


def log_odds(probabilities_P: Floats) -> Floats:
    """Return log odds of probabilities; those of 0 and 1 stay finite."""
    uncertain = _uncertain(probabilities_P)
    return np.asarray(np.log(uncertain) - np.log1p(-uncertain))


def _uncertain(probabilities_P: Floats) -> Floats:
    return np.clip(probabilities_P, CLOSEST_TO_CERTAIN, 1 - CLOSEST_TO_CERTAIN)


def _check_overlap(labels: Labels, probabilities: Floats) -> None:
    """Refuse patients for whom a logistic regression on their probability has no finite fit."""
    if labels.min() == labels.max():
        msg = f"calibration slope: all {len(labels)} patients have label {labels[0]}; it needs "
        msg += "both classes"
        raise CohortError(msg)
    positive, negative = probabilities[labels == 1], probabilities[labels == 0]
    if probabilities.min() == probabilities.max():
        msg = f"calibration slope: every patient has the probability {probabilities[0]:g}; there "
        msg += "is no slope through one point"
        raise CohortError(msg)
    if positive.min() >= negative.max() or positive.max() <= negative.min():
        msg = (
            f"calibration slope: the probabilities separate the classes (label 0: "
            f"{negative.min():g} to {negative.max():g}, label 1: {positive.min():g} to "
            f"{positive.max():g}), so the slope is infinite; report the Brier score and the bins, "
            "or take more patients"
        )
        raise CohortError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class LogisticSums:
    """What a Newton step of a logistic regression needs of some patients; it adds up.

    Attributes
    ----------
    log_likelihood, gradient_K, information_KK
        At some coefficients, the last as expected (Fisher).
    """

    log_likelihood: float
    gradient_K: Floats
    information_KK: Floats

    def __add__(self, other: LogisticSums) -> LogisticSums:
        return LogisticSums(
            self.log_likelihood + other.log_likelihood,
            self.gradient_K + other.gradient_K,
            self.information_KK + other.information_KK,
        )


def logistic_sums(
    design_PK: Floats, labels: Labels, offset_P: Floats, beta_K: Floats
) -> LogisticSums:
    """Return what some patients say at these coefficients."""
    eta_P = offset_P + design_PK @ beta_K
    fitted_P = np.exp(-np.logaddexp(0, -eta_P))
    return LogisticSums(
        log_likelihood=float((labels * eta_P - np.logaddexp(0, eta_P)).sum()),
        gradient_K=design_PK.T @ (labels - fitted_P),
        information_KK=(design_PK * (fitted_P * (1 - fitted_P))[:, None]).T @ design_PK,
    )


def newton(ask: Callable[[Floats], LogisticSums], n_coefficients: int) -> tuple[Floats, Floats]:
    """Return coefficients and standard errors by Newton's method with halved steps.

    The likelihood is concave and, for what the callers let through, has a finite maximum.

    Parameters
    ----------
    ask
        Returns the sums of all patients at some coefficients.
    """
    beta = np.zeros(n_coefficients)
    here = ask(beta)
    while True:
        step = np.linalg.solve(here.information_KK, here.gradient_K)
        there = ask(beta + step)
        while there.log_likelihood < here.log_likelihood and np.abs(step).max() > 1e-12:
            step = step / 2
            there = ask(beta + step)
        beta, gain, here = beta + step, there.log_likelihood - here.log_likelihood, there
        if gain <= 1e-12 * abs(here.log_likelihood):
            return beta, np.sqrt(np.diag(np.linalg.inv(here.information_KK)))


def _logistic(design_PK: Floats, labels: Labels, offset_P: Floats) -> tuple[Floats, Floats]:
    """Return coefficients and standard errors of rows that are all here."""
    return newton(
        lambda beta_K: logistic_sums(design_PK, labels, offset_P, beta_K), design_PK.shape[1]
    )
