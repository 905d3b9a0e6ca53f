"""Checked survival times, and the weights that make up for patients lost to follow-up.

Array suffixes: P patients, T times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.cohort import some
from histofed.core.metrics.inputs import check_finite
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from histofed.core.metrics.inputs import Floats, Mask


@dataclass(frozen=True, slots=True)
class Steps:
    """A curve that starts at 1 and drops at each of its rising times.

    Attributes
    ----------
    times_T, values_T
        The value from each time on.
    """

    times_T: Floats
    values_T: Floats

    def at(self, times: ArrayLike) -> Floats:
        """Return the value at each time, drops at that very time included."""
        return self._after(np.searchsorted(self.times_T, times, side="right"))

    def before(self, times: ArrayLike) -> Floats:
        """Return the value just before each time."""
        return self._after(np.searchsorted(self.times_T, times, side="left"))

    def _after(self, n_drops: NDArray[np.intp]) -> Floats:
        return np.asarray(np.concatenate([[1.0], self.values_T])[n_drops])


def check_times(
    times_P: ArrayLike, events_P: ArrayLike, *, need_event: bool = True
) -> tuple[Floats, Mask]:
    """Return times and whether each ended in an event (else the patient was censored).

    Raises
    ------
    CohortError
        Lengths that differ, times negative or not finite, events other than 0 and 1, or no event
        where one is needed.
    """
    times, events = np.asarray(times_P, dtype=np.float64), np.asarray(events_P)
    if times.ndim != 1 or times.shape != events.shape or not len(times):
        msg = f"one time and one event per patient, found shapes {times.shape} and {events.shape}; "
        msg += "give two lists of the same length, at least 1"
        raise CohortError(msg)
    bad = np.flatnonzero(~(np.isfinite(times) & (times >= 0)))
    if len(bad):
        msg = f"patient in row {bad[0]}: time {times[bad[0]]:g} is not a time since the start of "
        msg += "follow-up; leave the patient out or correct the dates"
        raise CohortError(msg)
    odd = np.flatnonzero(~np.isin(events, (0, 1)))
    if len(odd):
        msg = f"patient in row {odd[0]}: event is {events[odd[0]]}; it is 1 (happened) or 0 (lost "
        msg += "from sight before)"
        raise CohortError(msg)
    if need_event and not events.any():
        msg = f"none of {len(times)} patients had an event, so nothing about its time can be "
        msg += "estimated; follow up longer, or join the group with another"
        raise CohortError(msg)
    return times, events.astype(np.bool_)


def check_events(
    patients: Sequence[str], times_P: ArrayLike, events_P: ArrayLike, *, group: str
) -> None:
    """Refuse the patients of a fold or site whose times say nothing, by their names.

    Raises
    ------
    CohortError
        As `check_times`; the message names the group and its patients.
    """
    try:
        check_times(times_P, events_P)
    except CohortError as error:
        msg = f"{group} ({some(patients)}): {error}"
        raise CohortError(msg) from error


def check_risks(risks_P: ArrayLike, n_patients: int) -> Floats:
    """Return one finite risk per patient.

    Raises
    ------
    CohortError
        Another number of risks, or one not finite.
    """
    risks = np.asarray(risks_P, dtype=np.float64)
    if risks.shape != (n_patients,):
        msg = f"one risk per patient: {n_patients} patients, risks of shape {risks.shape}"
        raise CohortError(msg)
    check_finite("risk", risks)
    return risks


def censoring_curve(times_P: Floats, events_P: Mask) -> Steps:
    """Return the Kaplan-Meier estimate of being still in sight.

    A patient with an event at t was not yet censored at t: events leave the risk set first.
    """
    times_T = np.unique(times_P)
    ended_before = np.searchsorted(np.sort(times_P), times_T, side="left")
    events_T = _count(times_T, times_P[events_P])
    censored_T = _count(times_T, times_P[~events_P])
    at_risk_T = len(times_P) - ended_before - events_T
    drops_T = np.divide(censored_T, at_risk_T, out=np.zeros(len(times_T)), where=censored_T > 0)
    return Steps(times_T, np.cumprod(1 - drops_T))


def inverse_weights(in_sight: Floats, what: str) -> Floats:
    """Return one over the probability of being still in sight.

    Raises
    ------
    CohortError
        A probability of 0: nobody of whom the estimate was made was followed up so long.
    """
    if not (in_sight > 0).all():
        msg = f"{what}: the censoring curve is 0 where it is needed; nobody was followed up so "
        msg += "long: end earlier"
        raise CohortError(msg)
    return np.asarray(1 / in_sight)


def _count(times_T: Floats, values: Floats) -> Floats:
    """Return how many of the values are each of the times, which hold them all."""
    return np.bincount(np.searchsorted(times_T, values), minlength=len(times_T)).astype(np.float64)
