"""Updates as what training changed, in half precision: half the bytes on the way to the server.

A change is rounded to 11 bits (Micikevicius et al., Mixed precision training, ICLR 2018, on what
float16 holds): to 2^-11 of itself, and to 3e-8 where it is below 6e-5. A change above 65504 becomes
infinite, which the gate refuses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate

UpdateDtype = Literal["float32", "float16"]
"""How updates travel: the model as it is, or its float16 differences to the one handed out."""

DTYPES: tuple[UpdateDtype, ...] = get_args(UpdateDtype)


def differences(state: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what changed, as float16; tensors that hold no floating-point numbers as they are."""
    return {
        name: (value.double() - base[name].double()).half() if value.is_floating_point() else value
        for name, value in state.items()
    }


def sums(state: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add differences to the model; what is not a half-precision difference stays as it came."""
    found = {}
    for name, value in state.items():
        old = base.get(name)
        fits = old is not None and old.shape == value.shape and old.is_floating_point()
        if value.dtype == torch.float16 and fits:
            assert old is not None
            found[name] = (old.double() + value.double()).to(old.dtype)
        else:
            found[name] = value
    return found


def as_carried(
    update: SiteUpdate, base: Mapping[str, Tensor], update_dtype: UpdateDtype
) -> SiteUpdate:
    """Return an update as it arrives: simulations carry nothing, and round what a network would.

    Parameters
    ----------
    base
        The global model that was handed out.
    """
    if update_dtype == "float32":
        return update
    return replace(update, state=sums(differences(update.state, base), base))
