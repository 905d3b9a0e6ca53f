"""The gate: no update reaches a strategy unchecked, so one bad site cannot poison the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from histofed.errors import UpdateRefused
from histofed.federation.state import first_mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate

MAX_PATIENTS = 100_000
"""More patients than any hospital has of one cancer: the number is a mistake or an attack."""


def check_update(
    update: SiteUpdate,
    expected: Mapping[str, Tensor],
    *,
    site: str,
    round_number: int,
    max_patients: int = MAX_PATIENTS,
) -> None:
    """Let a sound update pass.

    Parameters
    ----------
    expected
        The global model, whose names, shapes and dtypes bind; empty for a final round.
    site
        Who sent the update, as the transport knows it.
    round_number
        The round being collected.

    Raises
    ------
    UpdateRefused
        Names the site, the tensor, the rule and the value.
    """
    fault = (
        _envelope_fault(update, site=site, round_number=round_number, max_patients=max_patients)
        or first_mismatch(update.state, expected)
        or _value_fault(update)
    )
    if fault:
        msg = f"site {site}, round {round_number}: update refused: {fault}"
        raise UpdateRefused(msg)


def _envelope_fault(
    update: SiteUpdate, *, site: str, round_number: int, max_patients: int
) -> str | None:
    if update.site != site:
        return f"it says that it comes from site {update.site!r}"
    if update.round != round_number:
        return f"it answers round {update.round}; a late or repeated update counts for nothing"
    patients = update.n_patients
    if not isinstance(patients, int) or isinstance(patients, bool):
        return f"n_patients must be a whole number, found {patients!r}"
    if not 1 <= patients <= max_patients:
        return f"n_patients must be in 1..{max_patients}, found {patients}"
    return None


def _value_fault(update: SiteUpdate) -> str | None:
    for name, value in update.state.items():
        finite = torch.isfinite(value)
        if not finite.all():
            return (
                f"tensor {name!r} must be finite, found {value[~finite].flatten()[0].item()} "
                f"({int((~finite).sum())} of {value.numel()} values are not finite)"
            )
    for name, number in update.metrics.items():
        if not (isinstance(number, (int, float)) and math.isfinite(number)):
            return (
                f"metric {name!r} must be a finite number, found {number!r}; "
                "leave out a metric that cannot be computed"
            )
    return None
