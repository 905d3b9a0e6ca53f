"""Survival curves and their comparison. Suffixes: P patients, T times, G groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from histofed.core.metrics.inputs import check_groups
from histofed.core.metrics.intervals import two_sided_z
from histofed.core.survival.times import Steps, check_times
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats


@dataclass(frozen=True, slots=True)
class KaplanMeier:
    """The fraction without event over time.

    Attributes
    ----------
    times_T
        Distinct times of events and censorings, rising.
    at_risk_T
        Patients with neither before this time.
    events_T, censored_T
        What happened at this time.
    survival_T
        The fraction without event after it.
    error_T
        Its standard error (Greenwood 1926).
    low_T, high_T
        Interval on the scale log(-log S), which stays within 0..1 (Kalbfleisch & Prentice 1980).
        1 before the first event; NaN where everybody had the event and no error can be given.
    """

    times_T: Floats
    at_risk_T: Floats
    events_T: Floats
    censored_T: Floats
    survival_T: Floats
    error_T: Floats
    low_T: Floats
    high_T: Floats

    def at(self, times: ArrayLike) -> Floats:
        """Return the fraction without event at each time."""
        return Steps(self.times_T, self.survival_T).at(times)

    def n_at_risk(self, times: ArrayLike) -> Floats:
        """Return the row of an at-risk table: patients under observation just before each time."""
        following = np.searchsorted(self.times_T, times, side="left")
        return np.asarray(np.concatenate([self.at_risk_T, [0.0]])[following])

    @property
    def median(self) -> float:
        """The first time at which half had the event; infinity if follow-up ends before."""
        # 1 - 1/2 in steps of 1/3 and 1/4 misses one half by rounding.
        reached = np.flatnonzero(self.survival_T <= 0.5 + 1e-12)
        return float(self.times_T[reached[0]]) if len(reached) else math.inf


@dataclass(frozen=True, slots=True)
class LogRank:
    """Test of equal hazards, with the events seen and expected in each group."""

    groups: tuple[str, ...]
    observed_G: Floats
    expected_G: Floats
    chi_squared: float
    p_value: float


def kaplan_meier(times_P: ArrayLike, events_P: ArrayLike, *, level: float = 0.95) -> KaplanMeier:
    """Return the product-limit estimate of survival (Kaplan & Meier 1958).

    Without any event it is 1 for as long as somebody was under observation.

    Raises
    ------
    CohortError
        As `check_times`.
    """
    times, events = check_times(times_P, events_P, need_event=False)
    times_T = np.unique(times)
    at_risk_T, events_T = _still(times, times_T), _now(times[events], times_T)
    survival_T = np.asarray(np.cumprod(1 - events_T / at_risk_T), dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # from the death of the last one on
        hazard_variance_T = np.cumsum(events_T / (at_risk_T * (at_risk_T - events_T)))
        error_T = survival_T * np.sqrt(hazard_variance_T)
        shift_T = np.exp(two_sided_z(level) * np.sqrt(hazard_variance_T) / np.log(survival_T))
        low_T, high_T = survival_T ** (1 / shift_T), survival_T**shift_T
    before = survival_T == 1
    return KaplanMeier(
        times_T=times_T,
        at_risk_T=at_risk_T,
        events_T=events_T,
        censored_T=_now(times[~events], times_T),
        survival_T=survival_T,
        error_T=np.where(survival_T > 0, error_T, np.nan),
        low_T=np.where(before, 1.0, np.where(survival_T > 0, low_T, np.nan)),
        high_T=np.where(before, 1.0, np.where(survival_T > 0, high_T, np.nan)),
    )


def log_rank(times_P: ArrayLike, events_P: ArrayLike, groups_P: ArrayLike) -> LogRank:
    """Compare the survival of two or more groups (Mantel 1966; Peto & Peto 1972).

    Raises
    ------
    CohortError
        As `check_times`; one group only; or no time at which two groups could be compared.
    """
    times, events = check_times(times_P, events_P)
    groups = check_groups(groups_P, len(times))
    names = np.unique(groups)
    if len(names) < 2:
        msg = f"log-rank: all {len(times)} patients are in group {names[0]}; it compares two "
        msg += "or more"
        raise CohortError(msg)
    times_T = np.unique(times[events])
    at_risk_GT = np.stack([_still(times[groups == g], times_T) for g in names])
    events_GT = np.stack([_now(times[(groups == g) & events], times_T) for g in names])
    at_risk_T, events_T = at_risk_GT.sum(axis=0), events_GT.sum(axis=0)
    share_GT = at_risk_GT / at_risk_T
    # The last one at risk alone has no variance: 0 of 0.
    spread_T = events_T * (at_risk_T - events_T) / np.maximum(at_risk_T - 1, 1)
    excess_G = (events_GT - events_T * share_GT).sum(axis=1)
    covariance_GG = np.diag((spread_T * share_GT).sum(axis=1)) - (spread_T * share_GT) @ share_GT.T
    free = np.linalg.matrix_rank(covariance_GG)
    if free == 0:
        msg = f"log-rank: at no event were patients of two of the groups {', '.join(names)} under "
        msg += "observation together; they cannot be compared"
        raise CohortError(msg)
    chi_squared = float(excess_G @ np.linalg.pinv(covariance_GG, hermitian=True) @ excess_G)
    return LogRank(
        groups=tuple(str(name) for name in names),
        observed_G=events_GT.sum(axis=1),
        expected_G=(events_T * share_GT).sum(axis=1),
        chi_squared=chi_squared,
        p_value=float(chdtrc(free, chi_squared)),
    )


def _still(times: Floats, times_T: Floats) -> Floats:
    """Return how many of the times have not passed just before each of ``times_T``."""
    return (len(times) - np.searchsorted(np.sort(times), times_T, side="left")).astype(np.float64)


def _now(times: Floats, times_T: Floats) -> Floats:
    """Return how many of the times are each of ``times_T``."""
    ordered = np.sort(times)
    after = np.searchsorted(ordered, times_T, side="right")
    return (after - np.searchsorted(ordered, times_T, side="left")).astype(np.float64)
