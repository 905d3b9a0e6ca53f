"""Weights on this machine: found, read without executing anything, and loaded completely."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from histofed.errors import WeightsError
from histofed.extract.encoders.layouts import renamed, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.extract.encoders.cards import EncoderCard

USUAL_FILES = (
    "model.safetensors", "model.safetensors.index.json",
    "pytorch_model.bin", "pytorch_model.bin.index.json",
)  # fmt: skip
"""Names under which weights are published, in the order in which they are looked for."""

UNREADABLE = (
    OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError,
    struct.error, UnpicklingError,
)  # fmt: skip
"""What torch raises on bytes that are not weights; nothing of the bytes is executed."""

ANOTHER = "these are the weights of another model"


def names_of(card: EncoderCard) -> tuple[str, ...]:
    """Return the names that the weights of a card may have in a folder."""
    return (card.file, *USUAL_FILES) if card.file else USUAL_FILES


def local_file(card: EncoderCard, weights: str) -> Path:
    """Return the file of weights that the user named, or that lies in the folder named.

    Raises
    ------
    WeightsError
        There is none.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        msg = f"encoder {card.name}: no weights at {path}; correct encoder.weights"
        raise WeightsError(msg)
    for name in names_of(card):
        if (path / name).is_file():
            return path / name
    msg = (
        f"encoder {card.name}: {path} holds none of {', '.join(names_of(card))}; "
        "name the file itself in encoder.weights"
    )
    raise WeightsError(msg)


def read(card: EncoderCard, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file, or of the files that an index names.

    Raises
    ------
    WeightsError
        A file is missing, damaged, or holds no table of tensors.
    """
    if not path.name.endswith(".index.json"):
        return _read_one(card, path)
    state: dict[str, torch.Tensor] = {}
    for shard in shards(card, path):
        state |= _read_one(card, path.parent / shard)
    return state


def shards(card: EncoderCard, index: Path) -> list[str]:
    """Return the names of the files, in its own folder, over which an index spreads the weights.

    Raises
    ------
    WeightsError
        It is no such index.
    """
    try:
        named = json.loads(index.read_text("utf-8"))["weight_map"].values()
        return sorted({Path(name).name for name in named})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        msg = f"encoder {card.name}: {index} cannot be read as an index of weights ({error!r})"
        raise WeightsError(msg) from error


def _read_one(card: EncoderCard, path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    content: Any
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        msg = f"encoder {card.name}: no weights at {path}; correct encoder.weights"
        raise WeightsError(msg) from None
    except (SafetensorError, *UNREADABLE) as error:
        msg = f"encoder {card.name}: {path} cannot be read as weights ({error!r}); "
        msg += "it is damaged or of another kind: fetch it again"
        raise WeightsError(msg) from error
    if isinstance(content, dict) and card.container:
        content = content.get(card.container, content)
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        msg = f"encoder {card.name}: {path} holds no table of named tensors"
        raise WeightsError(msg)
    return dict(content)


def fitted(
    card: EncoderCard,
    published: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    path: Path,
) -> dict[str, torch.Tensor]:
    """Return the published tensors under the names of the model: all of them, and no other.

    Raises
    ------
    WeightsError
        A tensor is missing, left over, or of another shape.
    """
    state = renamed(without(published, card.unused), card.layout)
    missing, left_over = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or left_over:
        said = [f"lacks {_some(missing)}"] if missing else []
        said += [f"has {_some(left_over)}, which the model does not know"] if left_over else []
        msg = f"encoder {card.name}: {path} {' and '.join(said)}; {ANOTHER}"
        raise WeightsError(msg)
    for name, place in expected.items():
        tensor = state[name]
        if tensor.shape != place.shape:
            msg = (
                f"encoder {card.name}: {path} has {name} of {tuple(tensor.shape)} where "
                f"{tuple(place.shape)} belongs; {ANOTHER}"
            )
            raise WeightsError(msg)
        if not tensor.isfinite().all():
            msg = f"encoder {card.name}: {path} has values in {name} that are not numbers; "
            msg += "it is damaged: fetch it again"
            raise WeightsError(msg)
    return state


def _some(names: set[str]) -> str:
    first = sorted(names)[:3]
    more = f" and {len(names) - len(first)} more" if len(names) > len(first) else ""
    return ", ".join(first) + more
