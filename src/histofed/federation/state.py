"""Copy, compare and load model states: a name, a shape or a dtype is never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from histofed.errors import FederationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


def clone_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy in CPU memory that shares nothing with the original."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a module's parameters and persistent buffers, in CPU memory.

    Raises
    ------
    FederationError
        The module keeps something else than tensors in its state dict.
    """
    state = module.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            msg = (
                f"{type(module).__name__}: {name!r} in the state dict is a {type(value).__name__}; "
                "only tensors are exchanged: keep it out of get_extra_state()"
            )
            raise FederationError(msg)
    return clone_state(state)


def load_state(module: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    """Load a global model into a module; the module's tensors keep their identity.

    Parameters
    ----------
    where
        Site and round, for the error.

    Raises
    ------
    FederationError
        A tensor is missing, unknown, or of another shape or dtype.
    """
    if fault := first_mismatch(state, module.state_dict()):
        msg = (
            f"{where}: the global model does not fit this site's {type(module).__name__}: {fault}; "
            "run the same model configuration and version at every site and at the server"
        )
        raise FederationError(msg)
    module.load_state_dict(dict(state), strict=True)


def first_mismatch(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """Say how a state differs from the expected one in names, kind, dtype or shape, else None."""
    if missing := sorted(expected.keys() - state.keys()):
        return f"tensor {missing[0]!r} is missing ({len(missing)} missing in all)"
    if unknown := sorted(state.keys() - expected.keys()):
        return f"tensor {unknown[0]!r} is unknown ({len(unknown)} unknown in all)"
    for name, wanted in expected.items():
        found = state[name]
        if not isinstance(found, Tensor) or found.layout != torch.strided or found.is_meta:
            return f"{name!r} must be a dense tensor, found {_kind(found)}"
        if found.dtype != wanted.dtype:
            return f"tensor {name!r} must be {wanted.dtype}, found {found.dtype}"
        if found.shape != wanted.shape:
            return (
                f"tensor {name!r} must have the shape {tuple(wanted.shape)}, "
                f"found {tuple(found.shape)}"
            )
    return None


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of layout {value.layout} on {value.device}"
    return f"a {type(value).__name__}"
