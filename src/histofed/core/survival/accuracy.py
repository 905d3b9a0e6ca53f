"""How good a prediction is at given times. Suffixes: P patients, T times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.inputs import check_within_one
from histofed.core.survival.kaplan_meier import kaplan_meier
from histofed.core.survival.times import (
    censoring_curve,
    check_risks,
    check_times,
    inverse_weights,
)
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Mask
    from histofed.core.survival.times import Steps


@dataclass(frozen=True, slots=True)
class OverTime:
    """A value at each time, and one number for all.

    ``mean`` weighs the AUC by how many events fall between the times; the Brier score by time.
    """

    times_T: Floats
    values_T: Floats
    mean: float


def dynamic_auc(
    times_P: ArrayLike,
    events_P: ArrayLike,
    risks_P: ArrayLike,
    *,
    at_T: ArrayLike,
    censoring: Steps | None = None,
) -> OverTime:
    """Return the cumulative/dynamic AUC (Uno et al. 2007; Hung & Chiang 2010).

    At t, the probability that of a patient with the event by t and one still without, the first
    had the higher risk; equal risks count one half. Events are weighted for censoring. ``mean`` is
    over the events between the times (Lambert & Chevret 2016).

    Parameters
    ----------
    at_T
        Rising times, each with an event by then and a patient beyond.
    censoring
        As in `uno_c`.

    Raises
    ------
    CohortError
        As `check_times` and `check_risks`; or a time at which nothing can be compared.
    """
    times, events = check_times(times_P, events_P)
    risks = check_risks(risks_P, len(times))
    at = _check_at(at_T, times, events)
    in_sight = (censoring or censoring_curve(times, events)).before(times)
    values = []
    for time in at:
        cases = events & (times <= time)
        weights = inverse_weights(in_sight[cases], f"AUC at {time:g}")
        controls = np.sort(risks[times > time])
        lower = np.searchsorted(controls, risks[cases], side="left")
        not_higher = np.searchsorted(controls, risks[cases], side="right")
        values.append(weights @ (lower + not_higher) / (2 * weights.sum() * len(controls)))
    survived_T = kaplan_meier(times, events).at(at)
    events_between_T = -np.diff(survived_T, prepend=1.0)
    return OverTime(at, np.array(values), float(np.average(values, weights=events_between_T)))


def brier_over_time(
    times_P: ArrayLike,
    events_P: ArrayLike,
    survival_PT: ArrayLike,
    *,
    at_T: ArrayLike,
    censoring: Steps | None = None,
) -> OverTime:
    """Return the Brier score of predicted survival at each time, and integrated (Graf et al. 1999).

    0 is perfect; predicting one half for everybody gives one quarter. ``mean`` is the trapezoid
    over the times, divided by their span: the integrated Brier score.

    Parameters
    ----------
    survival_PT
        Predicted probability that the patient has no event by each time.
    at_T, censoring
        As in `dynamic_auc`.

    Raises
    ------
    CohortError
        As `dynamic_auc`, or probabilities that do not fit.
    """
    times, events = check_times(times_P, events_P)
    at = _check_at(at_T, times, events)
    survival = np.asarray(survival_PT, dtype=np.float64)
    if survival.shape != (len(times), len(at)):
        msg = f"Brier score: predicted survival has shape {survival.shape}; it is one row for each "
        msg += f"of {len(times)} patients and one column for each of {len(at)} times"
        raise CohortError(msg)
    check_within_one(np.where(np.isfinite(survival), survival, -1.0))
    curve = censoring or censoring_curve(times, events)
    values = np.empty(len(at))
    for column, time in enumerate(at):
        cases, beyond = events & (times <= time), times > time
        weights = np.zeros(len(times))
        weights[cases] = inverse_weights(curve.before(times[cases]), f"Brier score at {time:g}")
        weights[beyond] = inverse_weights(curve.at([time]), f"Brier score at {time:g}")
        values[column] = weights @ (survival[:, column] - beyond) ** 2 / len(times)
    span = at[-1] - at[0]
    mean = np.trapezoid(values, at) / span if span else values[0]
    return OverTime(at, values, float(mean))


def _check_at(at_T: ArrayLike, times: Floats, events: Mask) -> Floats:
    """Return rising times, each with an event by then and a patient beyond."""
    at = np.atleast_1d(np.asarray(at_T, dtype=np.float64))
    first, last = times[events].min(), times.max()
    if at.ndim != 1 or not len(at) or not (np.diff(at) > 0).all():
        msg = f"times of evaluation rise strictly, found {at.tolist()}"
        raise CohortError(msg)
    if not (first <= at[0] and at[-1] < last):
        msg = f"times of evaluation lie from the first event ({first:g}) to before the last "
        msg += f"patient is lost from sight ({last:g}), found {at[0]:g} to {at[-1]:g}"
        raise CohortError(msg)
    return at
