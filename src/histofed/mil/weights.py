"""Aggregator weights on disk: safetensors, so that loading executes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from histofed.errors import WeightsError
from histofed.io.atomic import atomic_path, file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from histofed.mil.aggregators import Aggregator


def save_weights(path: Path, aggregator: Aggregator, *, about: dict[str, str]) -> None:
    """Write the weights; ``about`` (encoder, task, ...) goes into the file's header."""
    state = {name: tensor.contiguous() for name, tensor in aggregator.state_dict().items()}
    with atomic_path(path) as temporary:
        try:
            # One entry: several would be written in any order, and the file's digest would change.
            save_file(state, temporary, metadata={"about": json.dumps(about, sort_keys=True)})
        except SafetensorError as error:
            msg = f"{path}: the model cannot be written ({error}); is the disk full?"
            raise WeightsError(msg) from error


def load_weights(path: Path, aggregator: Aggregator) -> str:
    """Load weights into an aggregator of the same structure; return the file's digest.

    Raises
    ------
    WeightsError
        The file is missing, damaged, or of another model.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        msg = f"{path}: cannot be read as model weights ({error}); train again"
        raise WeightsError(msg) from error
    expected = aggregator.state_dict()
    wrong = sorted(
        name
        for name in state.keys() | expected.keys()
        if name not in state or name not in expected or state[name].shape != expected[name].shape
    )
    if wrong:
        msg = f"{path}: {', '.join(wrong[:5])} do not fit {type(aggregator).__name__}; "
        msg += "these are the weights of another model"
        raise WeightsError(msg)
    aggregator.load_state_dict(state)
    return file_digest(path)
