"""A Cox model of many covariates, shrunk: the linear model that others are read beside.

Array suffixes: P patients in falling order of time, D covariates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from histofed.core.metrics.inputs import check_finite
from histofed.core.survival.times import check_times
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats

MAX_STEPS = 1000

STEEP = 1e-4
"""Slope at which the search may not have ended: weights would be off by this over the penalty."""


@dataclass(frozen=True, slots=True, eq=False)
class RidgeCox:
    """A fitted model.

    Attributes
    ----------
    mean_D, spread_D
        What covariates are standardised with.
    weights_D
        Log hazard ratio per standard deviation.
    """

    mean_D: Floats
    spread_D: Floats
    weights_D: Floats

    def risk(self, covariates_PD: ArrayLike) -> Floats:
        """Return the log hazard of each patient, relative to the mean patient."""
        covariates = np.asarray(covariates_PD, dtype=np.float64)
        return np.asarray((covariates - self.mean_D) / self.spread_D @ self.weights_D)


def ridge_cox(
    times_P: ArrayLike, events_P: ArrayLike, covariates_PD: ArrayLike, *, penalty: float
) -> RidgeCox:
    """Fit by the partial likelihood, tied events after Breslow (Cox 1972; Breslow 1974).

    Parameters
    ----------
    covariates_PD
        A column per covariate; one that never changes gets no weight.
    penalty
        What the mean loss per event is increased by, times half of the squared weights
        (Verweij & Van Houwelingen 1994). Above 0: with more covariates than events there is no
        other unique answer.

    Raises
    ------
    CohortError
        As `check_times`; covariates that do not fit or are not finite; or a search that does not
        end.
    ValueError
        A penalty of 0 or less.
    """
    if penalty <= 0:
        msg = f"penalty is {penalty:g}; it must be above 0"
        raise ValueError(msg)
    times, events = check_times(times_P, events_P)
    covariates = np.asarray(covariates_PD, dtype=np.float64)
    if covariates.ndim != 2 or len(covariates) != len(times):
        msg = f"one row of covariates per patient: {len(times)} patients, covariates of shape "
        msg += f"{covariates.shape}"
        raise CohortError(msg)
    check_finite("covariate", covariates)
    mean, spread = covariates.mean(axis=0), covariates.std(axis=0)
    spread = np.where(spread > 1e-9 * np.abs(covariates).max(axis=0, initial=0), spread, 1.0)
    falling = np.argsort(-times, kind="stable")
    values = ((covariates - mean) / spread)[falling]
    # At risk with a patient is everybody up to the last of the same time.
    last = np.searchsorted(-times[falling], -times[falling][events[falling]], side="right") - 1
    died = np.flatnonzero(events[falling])

    def loss(weights: Floats) -> tuple[float, Floats]:
        risk = values @ weights
        share = np.exp(risk - risk.max())
        at_risk = np.cumsum(share)[last]
        value = (np.log(at_risk) + risk.max() - risk[died]).mean()
        # How often each patient was at risk, by how likely the patient was to be the one.
        turns = np.bincount(last, weights=1 / at_risk, minlength=len(risk))
        expected = share * np.cumsum(turns[::-1])[::-1]
        slope = (values.T @ expected - values[died].sum(axis=0)) / len(died)
        return value + penalty / 2 * (weights @ weights), slope + penalty * weights

    found = minimize(
        loss,
        np.zeros(values.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_STEPS, "ftol": 0.0, "gtol": 1e-8},
    )
    if not np.abs(found.jac).max(initial=0) < STEEP:
        msg = (
            f"the Cox model of {values.shape[1]} covariates and {len(died)} events has not settled "
            f"after {found.nit} steps ({found.message}); raise the penalty from {penalty:g}"
        )
        raise CohortError(msg)
    return RidgeCox(mean, spread, np.asarray(found.x))
