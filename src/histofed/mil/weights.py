"""A model's weights on disk: safetensors, so that loading executes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from histofed.errors import WeightsError
from histofed.io.atomic import atomic_path, file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def save_weights(path: Path, model: nn.Module, *, about: dict[str, str]) -> None:
    """Write the weights; ``about`` (encoder, task, ...) goes into the file's header."""
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(path) as temporary:
        try:
            # One entry: several would be written in any order, and the file's digest would change.
            save_file(state, temporary, metadata={"about": json.dumps(about, sort_keys=True)})
        except SafetensorError as error:
            msg = f"{path}: the model cannot be written ({error}); is the disk full?"
            raise WeightsError(msg) from error


def read_about(path: Path) -> dict[str, str]:
    """Return what `save_weights` was told about the model.

    Raises
    ------
    WeightsError
        The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(json.loads((file.metadata() or {}).get("about", "{}")))
    except (OSError, SafetensorError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{path}: cannot be read as model weights ({error}); train again")


def load_weights(path: Path, model: nn.Module, *, of: str = "") -> str:
    """Load weights into a model of the same structure; return the file's digest.

    Parameters
    ----------
    of
        What the model is, for the error.

    Raises
    ------
    WeightsError
        The file is missing, damaged, or of another model.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    expected = model.state_dict()
    wrong = sorted(
        name
        for name in state.keys() | expected.keys()
        if name not in state or name not in expected or state[name].shape != expected[name].shape
    )
    if wrong:
        msg = f"{path}: {', '.join(wrong[:5])} do not fit {of or type(model).__name__}; "
        msg += "these are the weights of another model"
        raise WeightsError(msg)
    model.load_state_dict(state)
    return file_digest(path)
