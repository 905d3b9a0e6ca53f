"""Is the patient at higher risk the one with the earlier event? Suffix: P patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.core.survival.times import (
    censoring_curve,
    check_risks,
    check_times,
    inverse_weights,
)
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Labels, Mask
    from histofed.core.survival.times import Steps


def harrell_c(times_P: ArrayLike, events_P: ArrayLike, risks_P: ArrayLike) -> float:
    """Return the fraction of comparable pairs in the right order (Harrell et al. 1982).

    A pair is comparable if the earlier time is an event; of equal times, if one is an event and
    the other a censoring. Equal risks count one half. Its limit depends on the censoring;
    `uno_c`'s does not.

    Raises
    ------
    CohortError
        As `check_times` and `check_risks`, or no pair is comparable.
    """
    times, events = check_times(times_P, events_P)
    risks = check_risks(risks_P, len(times))
    return _concordance(times, events, risks, np.ones(len(times)))


def uno_c(
    times_P: ArrayLike,
    events_P: ArrayLike,
    risks_P: ArrayLike,
    *,
    until: float | None = None,
    censoring: Steps | None = None,
) -> float:
    """Return the fraction of pairs in the right order had nobody been censored (Uno et al. 2011).

    Each event weighs one over the squared probability of having been in sight until then.

    Parameters
    ----------
    until
        Events from this time on do not count; late ones have few patients and large weights.
    censoring
        `censoring_curve` of other patients, e.g. those trained on; None estimates it here.

    Raises
    ------
    CohortError
        As `harrell_c`, or the censoring curve is 0 at an event that counts.
    """
    times, events = check_times(times_P, events_P)
    risks = check_risks(risks_P, len(times))
    in_sight = (censoring or censoring_curve(times, events)).before(times)
    counted = events if until is None else events & (times < until)
    weights = np.zeros(len(times))
    weights[counted] = inverse_weights(in_sight[counted], "Uno's C") ** 2
    return _concordance(times, counted, risks, weights)


def _concordance(times: Floats, events: Mask, risks: Floats, weights: Floats) -> float:
    later, lower, tied = _compared(times, events, risks)
    pairs = float(weights[events] @ later)
    if pairs == 0:
        msg = f"concordance: none of the {len(times)} patients was seen to outlive an event of "
        msg += "another, so no pair can be compared; follow up longer or take more patients"
        raise CohortError(msg)
    return float(weights[events] @ (lower + tied / 2)) / pairs


def _compared(times: Floats, events: Mask, risks: Floats) -> tuple[Labels, Labels, Labels]:
    """Return, for each event, how many outlived it, and of them how many with lower and equal risk.

    Patients are put in order of time, the last first and censorings before events of their time,
    so that those who outlived an event are the first q. A prefix of length q is made of blocks,
    one for each bit of q; in blocks sorted by risk, the lower ones are found by bisection. That is
    n log(n)^2 in array operations instead of n^2 pairs.
    """
    n = len(times)
    order = np.lexsort((events, -times))
    _, rank_P = np.unique(risks, return_inverse=True)
    ranks = rank_P[order]
    # Of the same time, only censorings outlive an event.
    later = np.searchsorted(-times[order], -times[events], side="left")
    censored = np.sort(times[~events])
    later += np.searchsorted(censored, times[events], side="right")
    later -= np.searchsorted(censored, times[events], side="left")
    of_event = rank_P[events]
    lower, not_higher = np.zeros_like(later), np.zeros_like(later)
    for bit in range(int(later.max(initial=0)).bit_length()):
        width = 1 << bit
        keys = np.sort((np.arange(n) >> bit) * n + ranks)
        has = (later >> bit) & 1 == 1
        block = (later[has] >> bit) - 1
        lower[has] += np.searchsorted(keys, block * n + of_event[has]) - block * width
        not_higher[has] += (
            np.searchsorted(keys, block * n + of_event[has], side="right") - block * width
        )
    return later, lower, not_higher - lower
