"""Copy, compare and load model states: a name, a shape or a dtype is never guessed."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from histofed.errors import FederationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import nn


def clone_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy in CPU memory that shares nothing with the original."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def digest_of(state: Mapping[str, Tensor]) -> str:
    """Return the sha256 over names, dtypes, shapes and values, whatever the order of the names."""
    whole = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        whole.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        if value.numel():  # an empty tensor cannot be seen as bytes
            whole.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def size_of(state: Mapping[str, Tensor]) -> float:
    """Return the Euclidean norm of all the real and complex numbers together."""
    return math.hypot(*(_norm(value) for value in state.values() if _is_inexact(value)))


def distance(state: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Return the Euclidean norm of the difference of two states of the same names and shapes."""
    return math.hypot(
        *(
            _norm(_wide(state[name]) - _wide(other[name]))
            for name in state
            if _is_inexact(state[name])
        )
    )


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


def trainable_names(module: nn.Module) -> list[str]:
    """Return the names of the tensors that an optimizer changes; tied ones under each name."""
    named = module.named_parameters(remove_duplicate=False)
    return [name for name, value in named if value.requires_grad]


def load_state(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    where: str,
    private: Collection[str] = (),
) -> None:
    """Load a global model into a module; the module's tensors keep their identity.

    Parameters
    ----------
    where
        Site and round, for the error.
    private
        Names of tensors that are no part of the global model and stay as they are.

    Raises
    ------
    FederationError
        A tensor is missing, unknown, or of another shape or dtype.
    """
    expected = {name: each for name, each in module.state_dict().items() if name not in private}
    if fault := first_mismatch(state, expected):
        msg = (
            f"{where}: the global model does not fit this site's {type(module).__name__}: {fault}; "
            "run the same model configuration and version at every site and at the server"
        )
        raise FederationError(msg)
    module.load_state_dict(dict(state), strict=not private)  # the names were compared just now


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


def _is_inexact(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _wide(value: Tensor) -> Tensor:
    """Return the value in double precision: squares of large float32 numbers are infinite."""
    return value.to(torch.promote_types(value.dtype, torch.float64))


def _norm(value: Tensor) -> float:
    return float(torch.linalg.vector_norm(_wide(value)))


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of layout {value.layout} on {value.device}"
    return f"a {type(value).__name__}"
