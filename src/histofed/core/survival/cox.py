"""The proportional hazards model of one covariate. Suffixes: P patients, E events, G times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.intervals import Interval, two_sided_p, wald
from histofed.core.survival.times import check_risks, check_times
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Mask


LARGEST = 50.0
"""Logarithm of a hazard ratio per standard deviation beyond which nothing was estimated."""

LONGEST_STEP = 10.0
"""Newton's steps are cut to this, so that one far out does not pass `LARGEST` on the way."""


@dataclass(frozen=True, slots=True)
class HazardRatio:
    """How much faster events come, per standard deviation of the covariate.

    Attributes
    ----------
    ratio
        Hazard ratio with its Wald interval, symmetric in the logarithm.
    log_ratio, standard_error
        The coefficient it comes from.
    sd
        Standard deviation (n - 1) of the covariate over these patients, in its unit.
    p_value
        Two-sided, of ratio 1 (Wald).
    """

    ratio: Interval
    log_ratio: float
    standard_error: float
    sd: float
    p_value: float


def hazard_ratio(
    times_P: ArrayLike, events_P: ArrayLike, covariate_P: ArrayLike, *, level: float = 0.95
) -> HazardRatio:
    """Fit a Cox model of one covariate, tied events after Efron (Cox 1972; Efron 1977).

    Raises
    ------
    CohortError
        As `check_times`; the covariate is constant or all but one patient's nearly are; or the
        fit does not exist: at every event the patient with the event had the highest (or the
        lowest) value of those at risk.
    """
    times, events = check_times(times_P, events_P)
    covariate = check_risks(covariate_P, len(times))
    if covariate.min() == covariate.max():
        msg = f"hazard ratio: the covariate of all {len(times)} patients is {covariate[0]:g}; a "
        msg += "ratio needs patients who differ"
        raise CohortError(msg)
    sd = float(covariate.std(ddof=1))
    order = np.argsort(-times, kind="stable")
    scaled = ((covariate - covariate.mean()) / sd)[order]
    likelihood = _PartialLikelihood(times[order], events[order], scaled)
    likelihood.check_finite_maximum()
    beta, error = likelihood.maximum()
    log_ratio = wald(beta, error, level=level)
    return HazardRatio(
        ratio=Interval(math.exp(beta), math.exp(log_ratio.low), math.exp(log_ratio.high)),
        log_ratio=beta,
        standard_error=error,
        sd=sd,
        p_value=two_sided_p(beta / error),
    )


class _PartialLikelihood:
    """Efron's partial likelihood of patients in falling order of time.

    For each event, ``last_E`` is the row up to which patients are at risk, and ``gone_E`` the
    fraction of the tied events' weight that Efron takes out of the risk set.
    """

    def __init__(self, times: Floats, events: Mask, covariate: Floats) -> None:
        self.covariate, self.events = covariate, events
        _, self.tie_E, n_tied_G = np.unique(-times[events], return_inverse=True, return_counts=True)
        self.last_E = np.searchsorted(-times, -times[events], side="right") - 1
        within_E = np.arange(events.sum()) - (np.cumsum(n_tied_G) - n_tied_G)[self.tie_E]
        self.gone_E = within_E / n_tied_G[self.tie_E]

    def check_finite_maximum(self) -> None:
        """Refuse a likelihood that rises for ever: its slope at infinity keeps its sign."""
        x = self.covariate
        if (x[self.events] == np.maximum.accumulate(x)[self.last_E]).all():
            which = "highest"
        elif (x[self.events] == np.minimum.accumulate(x)[self.last_E]).all():
            which = "lowest"
        else:
            return
        msg = f"hazard ratio: at each of the {self.events.sum()} events the patient had the "
        msg += f"{which} value of all at risk, so the ratio is infinite; report the C-index, or "
        msg += "take more patients"
        raise CohortError(msg)

    def derivatives(self, beta: float) -> tuple[float, float, float]:
        """Return the log likelihood, its slope, and the information."""
        x = self.covariate
        shift = float((beta * x).max())
        weights = np.exp(beta * x - shift)
        s0, s1, s2 = (self._at_risk(weights * x**power) for power in range(3))
        if abs(beta) > LARGEST or not s0.all():
            raise CohortError(self._no_estimate(beta))
        mean = s1 / s0
        value = float((beta * x[self.events] - shift - np.log(s0)).sum())
        return value, float((x[self.events] - mean).sum()), float((s2 / s0 - mean**2).sum())

    def maximum(self) -> tuple[float, float]:
        """Return the coefficient and its standard error by Newton's method with halved steps."""
        beta, (value, slope, information) = 0.0, self.derivatives(0.0)
        while True:
            step = float(np.clip(slope / information, -LONGEST_STEP, LONGEST_STEP))
            found = self.derivatives(beta + step)
            while found[0] < value and abs(step) > 1e-12:
                step /= 2
                found = self.derivatives(beta + step)
            beta, gain = beta + step, found[0] - value
            value, slope, information = found
            if gain <= 1e-12 * abs(value):
                break
        error = 1 / math.sqrt(information) if information > 0 else math.inf
        if error > LARGEST:
            raise CohortError(self._no_estimate(beta))
        return beta, error

    def _no_estimate(self, beta: float) -> str:
        """Say that one patient's value leaves the others no spread."""
        furthest = np.abs(self.covariate).max()
        return (
            f"hazard ratio: exp({beta:+.0f}) per standard deviation is no estimate; the "
            f"covariate's outlier, {furthest:.1f} standard deviations out, leaves no spread to the "
            "others: transform it or take its rank"
        )

    def _at_risk(self, values_P: Floats) -> Floats:
        """Return the sum over those at risk at each event, less Efron's part of the tied ones."""
        tied_G = np.bincount(self.tie_E, weights=values_P[self.events])
        at_risk_E = np.cumsum(values_P)[self.last_E]
        return np.asarray(at_risk_E - self.gone_E * tied_G[self.tie_E])
