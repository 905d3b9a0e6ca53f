"""The gate: no update reaches a strategy unchecked, so one bad site cannot poison the model.

What it stops is damage: values, shapes and weights that no honest training makes. A site that lies
within these bounds is the business of a robust strategy (median, trimmed mean, Krum).
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

import torch

from histofed.errors import FederationError, UpdateRefused
from histofed.federation.limits import (
    MAX_CONTROLS,
    MAX_METRIC,
    MAX_METRICS,
    MAX_MOVE,
    MAX_NAME,
    MAX_STEPS,
    Limits,
)
from histofed.federation.state import distance, first_mismatch, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from histofed.federation.messages import Round, SiteUpdate

DIVERGED = "if the site's training diverged, lower trainer.learning_rate"


class Admission(NamedTuple):
    """What the gate made of the answers to a round; sites by name, sorted.

    Attributes
    ----------
    accepted
        What the strategy gets.
    refused
        Site -> why its update was refused. It counts for nothing in this round.
    absent
        Site -> why there is no update.
    """

    accepted: list[SiteUpdate]
    refused: dict[str, str]
    absent: dict[str, str]


def admit(
    answers: Mapping[str, SiteUpdate | FederationError],
    current: Round,
    *,
    limits: Limits | None = None,
) -> Admission:
    """Sort the answers to a round.

    Each update is checked alone first; those that pass set the measure for how far one may go.

    Parameters
    ----------
    answers
        By the site that sent each, as the transport knows it: its update, `UpdateRefused` where the
        transport does not believe or cannot read it (signature, bytes), another error where there
        is none (the site failed, or is late).
    """
    limits = limits or Limits()
    sound: dict[str, SiteUpdate] = {}
    refused: dict[str, str] = {}
    absent: dict[str, str] = {}
    for site in sorted(answers):
        answer = answers[site]
        if isinstance(answer, UpdateRefused):
            refused[site] = str(answer)
        elif isinstance(answer, FederationError):
            absent[site] = str(answer)
        elif refusal := _refusal(site, current, _fault(answer, current, site, limits)):
            refused[site] = str(refusal)
        else:
            sound[site] = answer
    for site, fault in _going_too_far(sound, current, limits).items():
        del sound[site]
        refused[site] = str(_refusal(site, current, fault))
    return Admission(list(sound.values()), refused, absent)


def check_update(
    update: SiteUpdate, current: Round, *, site: str, limits: Limits | None = None
) -> None:
    """Let an update pass that is sound by itself; how far it goes is for `admit` to say.

    Parameters
    ----------
    current
        The round being collected. The names, shapes and dtypes of its model and of its controls
        bind; the answer of a site that only evaluates holds none.
    site
        Who sent the update, as the transport knows it.

    Raises
    ------
    UpdateRefused
        Names the site, the tensor, the rule and the value.
    """
    if refusal := _refusal(site, current, _fault(update, current, site, limits or Limits())):
        raise refusal


def _fault(update: SiteUpdate, current: Round, site: str, limits: Limits) -> str | None:
    """Say what is wrong with an update, whatever the others send."""
    trains = current.trains(site)
    model, controls = (current.state, current.controls) if trains else ({}, {})
    return (
        _envelope_fault(update, current, site)
        or _count_fault(update, limits, least_steps=int(trains))
        or first_mismatch(update.state, model)
        or _of_controls(first_mismatch(update.controls, controls))
        or infinite_in(update.state)
        or _of_controls(infinite_in(update.controls))
        or _metric_fault(update)
    )


def moved_too_far(
    state: Mapping[str, Tensor], before: Mapping[str, Tensor], max_change: float = MAX_MOVE
) -> str | None:
    """Say how far the global model moved in a round, where that is more than hospitals take."""
    moved, size = distance(state, before), max(size_of(before), 1.0)
    # Each update may go so far, so their mean may go further by what rounding adds.
    if moved <= max_change * size * (1 + 1e-6):
        return None
    return (
        f"the global model moved by {moved:.3g}, {moved / size:.3g} times its own norm; max_change "
        f"is {max_change:g}"
    )


def infinite_in(state: Mapping[str, Tensor]) -> str | None:
    """Name the first tensor that holds NaN or infinity."""
    for name, value in state.items():
        finite = torch.isfinite(value)
        if not finite.all():
            return (
                f"tensor {name!r} must be finite, found {value[~finite].flatten()[0].item()} "
                f"({int((~finite).sum())} of {value.numel()} values are not finite); {DIVERGED}"
            )
    return None


def _refusal(site: str, current: Round, fault: str | None) -> UpdateRefused | None:
    if not fault:
        return None
    return UpdateRefused(f"site {site}, round {current.number}: update refused: {fault}")


def _of_controls(fault: str | None) -> str | None:
    return fault and f"controls: {fault}"


def _envelope_fault(update: SiteUpdate, current: Round, site: str) -> str | None:
    if update.site != site:
        return f"it says that it comes from site {update.site!r}"
    if update.run != current.run:
        return f"it answers run {update.run!r}, this one is {current.run!r}"
    if update.round != current.number:
        return f"it answers round {update.round}; a late or repeated update counts for nothing"
    if update.base != current.base:
        return (
            f"it was trained from another global model (digest {update.base[:12] or 'missing'}) "
            f"than the one handed out ({current.base[:12]})"
        )
    return None


def _count_fault(update: SiteUpdate, limits: Limits, *, least_steps: int) -> str | None:
    for name, count, least, most in (
        ("n_patients", update.n_patients, 1, limits.max_patients),
        ("n_steps", update.n_steps, least_steps, MAX_STEPS),
    ):
        if not isinstance(count, int) or isinstance(count, bool):
            return f"{name} must be a whole number, found {count!r}"
        if not least <= count <= most:
            return f"{name} must be in {least}..{most}, found {count}"
    declared = limits.declared.get(update.site)
    if declared is not None and update.n_patients > declared:
        return f"n_patients is {update.n_patients}, but the site joined with {declared}"
    together = sum(limits.declared.values())
    if declared is None and limits.declared and update.n_patients > together:
        return (
            f"n_patients is {update.n_patients}, more than the {together} of all sites that "
            "declared theirs; this one came later, or its sums were refused"
        )
    return None


def _metric_fault(update: SiteUpdate) -> str | None:
    if len(update.metrics) > MAX_METRICS:
        return f"it has {len(update.metrics)} metrics, more than the {MAX_METRICS} accepted"
    for name, number in update.metrics.items():
        if not (name.isprintable() and 1 <= len(name) <= MAX_NAME):
            return (
                f"a metric's name must be 1..{MAX_NAME} printable characters, found "
                f"{name[:MAX_NAME]!r}"
            )
        if not (isinstance(number, (int, float)) and math.isfinite(number)):
            return (
                f"metric {name!r} must be a finite number, found {number!r}; "
                "leave out a metric that cannot be computed"
            )
        if abs(number) > MAX_METRIC:
            return f"metric {name!r} must be within +-{MAX_METRIC:g}, found {number:g}; {DIVERGED}"
    return None


def _going_too_far(
    updates: Mapping[str, SiteUpdate], current: Round, limits: Limits
) -> dict[str, str]:
    """Return site -> by how much its change is out of all proportion."""
    trained = {site: update for site, update in updates.items() if current.trains(site)}
    change = {site: distance(update.state, current.state) for site, update in trained.items()}
    controls = {site: size_of(update.controls) for site, update in trained.items()}
    return {
        **_beyond(
            controls, size_of(current.controls), limits, MAX_CONTROLS, "its controls have a norm of"
        ),
        **_beyond(change, size_of(current.state), limits, MAX_MOVE, "it changes the model by"),
    }


def _beyond(
    norms: Mapping[str, float], size: float, limits: Limits, most: float, what: str
) -> dict[str, str]:
    """Return site -> what is wrong with a norm beyond the bound.

    Parameters
    ----------
    size
        Norm of what was handed out.
    most
        Times that norm (at least 1), whatever the others do.
    """
    if not norms:
        return {}
    size = max(size, 1.0)
    median = statistics.median_low(norms.values())
    of_others = max(size, limits.max_change * median) if len(norms) > 1 else math.inf
    bound = min(of_others, most * size)
    return {
        site: (
            f"{what} {norm:.3g}, more than {bound:.3g} (max_change is {limits.max_change:g} times "
            f"the median site's {median:.3g}; a change up to {size:.3g} always passes); {DIVERGED}"
        )
        for site, norm in norms.items()
        if not norm <= bound
    }
