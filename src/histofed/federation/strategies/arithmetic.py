"""What server rules share: each site's share of a mean, and sums that go one tensor at a time.

A site's state may be a file from which one tensor is read at a time, so nothing here holds all
tensors of all sites: means hold one tensor of one site, order statistics one tensor of each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import torch

from histofed.errors import ConfigError, FederationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate

Weighting = Literal["patients", "equal", "sqrt"]
"""What a site counts in a mean: its patients, one, or the square root of its patients."""


def check_weighting(weighting: str) -> None:
    """Refuse a weighting that does not exist."""
    if weighting not in get_args(Weighting):
        msg = (
            f"strategy.weighting must be one of {', '.join(get_args(Weighting))}, got {weighting!r}"
        )
        raise ConfigError(msg)


def check_range(option: str, value: float, *, low: float, below: float = math.inf) -> None:
    """Refuse an option of a strategy outside ``low <= value < below``."""
    if not low <= value < below:
        upper = "" if below == math.inf else f" and below {below:g}"
        msg = f"strategy.{option} must be at least {low:g}{upper}, got {value!r}"
        raise ConfigError(msg)


def check_positive(option: str, value: float) -> None:
    """Refuse an option of a strategy that is not a positive finite number."""
    if not 0 < value < math.inf:
        msg = f"strategy.{option} must be a positive number, got {value!r}"
        raise ConfigError(msg)


def by_name(updates: Sequence[SiteUpdate]) -> list[SiteUpdate]:
    """Return the updates in the order of the site names, the order in which everything is added.

    Raises
    ------
    FederationError
        There is nothing to aggregate.
    """
    if not updates:
        msg = "no update to aggregate; a round needs at least one"
        raise FederationError(msg)
    return sorted(updates, key=lambda update: update.site)


def shares(updates: Sequence[SiteUpdate], weighting: Weighting) -> dict[str, float]:
    """Return each site's share, in the order of the site names; the shares add up to 1."""
    raw = {update.site: _raw_weight(update, weighting) for update in by_name(updates)}
    total = math.fsum(raw.values())
    return {site: weight / total for site, weight in raw.items()}


def _raw_weight(update: SiteUpdate, weighting: Weighting) -> float:
    match weighting:
        case "patients":
            return float(update.n_patients)
        case "sqrt":
            return math.sqrt(update.n_patients)
        case "equal":
            return 1.0


def mean_of(
    name: str, states: Mapping[str, Mapping[str, Tensor]], share_of: Mapping[str, float]
) -> Tensor:
    """Return the weighted mean of one tensor, in float64 (complex128).

    Parameters
    ----------
    states
        Site -> its tensors.
    share_of
        Site -> its share; in the order in which they are added.
    """
    total: Tensor | None = None
    for site, share in share_of.items():
        term = share * wide(states[site][name])
        # Starting from the first term, not from zero, keeps a lone -0.0 what it is.
        total = term if total is None else total + term
    assert total is not None, "by_name refuses an empty round"
    return total


def wide(value: Tensor) -> Tensor:
    """Return the tensor in float64 (complex128), in which sums run."""
    return value.to(torch.promote_types(value.dtype, torch.float64))


def averages(value: Tensor) -> bool:
    """Whether a tensor can be averaged: counters, indices and flags cannot."""
    return value.is_floating_point() or value.is_complex()


def averaged(
    state: Mapping[str, Tensor], updates: Sequence[SiteUpdate], weighting: Weighting
) -> dict[str, Tensor]:
    """Return the weighted mean of the sites' models, buffers included.

    Sums run in float64 in the order of the site names and are cast back, so the result depends
    neither on the order of arrival nor on float32 rounding.

    Integer and boolean tensors are taken from the update of largest weight (of equals, the first by
    name). A mean of counters or of indices is the state of no model; the old global value would
    freeze ``num_batches_tracked`` while the running statistics beside it move on; and with a single
    site the result is exactly that site's model.
    """
    share_of = shares(updates, weighting)
    states = {update.site: update.state for update in updates}
    heaviest = max(share_of, key=share_of.__getitem__)
    return {
        name: mean_of(name, states, share_of).to(old.dtype)
        if averages(old)
        else states[heaviest][name].clone()
        for name, old in state.items()
    }


def middle(stacked_S: Tensor) -> Tensor:
    """Return the lower median over the first axis: each value is one that a site sent.

    What order statistics do with integers and flags, which have no mean: one site in a minority
    cannot choose them.
    """
    return stacked_S.sort(dim=0).values[(len(stacked_S) - 1) // 2].clone()


def zeros_for(
    state: Mapping[str, Tensor], trainable: Collection[str], *, rule: str
) -> dict[str, Tensor]:
    """Return zeros like the trainable tensors, in float32 or wider: where a memory starts.

    Parameters
    ----------
    trainable
        Names of the tensors that optimizers change. Running statistics of a batch norm look the
        same in a state, and a step of an optimizer could make a variance negative.
    rule
        Name of the strategy, for the error.

    Raises
    ------
    ConfigError
        No name is given, a name is not in the state, or its tensor has no real numbers.
    """
    if not trainable:
        msg = f"{rule} must know which tensors are trained: give the server their names (trainable)"
        raise ConfigError(msg)
    memory = {}
    for name in sorted(trainable):
        if name not in state or not state[name].is_floating_point():
            found = state[name].dtype if name in state else "no such tensor"
            msg = f"{rule}: trainable tensor {name!r} must be one of real numbers, found {found}"
            raise ConfigError(msg)
        dtype = torch.promote_types(state[name].dtype, torch.float32)
        memory[name] = torch.zeros_like(state[name], dtype=dtype)
    return memory
