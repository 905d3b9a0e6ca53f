"""Weights on this machine: found, read without executing anything, and loaded completely."""

from __future__ import annotations

import json
import struct
import warnings
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

NAMED_KEYS = 4
"""Keys of a file that a message names."""

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
        if _is_safetensors(path):
            content = load_file(path)
        else:
            with warnings.catch_warnings():  # torch's, on kinds of pickle that it then reads
                warnings.simplefilter("ignore", UserWarning)
                content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        msg = f"encoder {card.name}: no weights at {path}; correct encoder.weights"
        raise WeightsError(msg) from None
    except UnpicklingError as error:
        msg = (
            f"encoder {card.name}: {path} cannot be read as weights: it is damaged, or holds more "
            "than tensors, which could run code of whoever made it and is not loaded; fetch it "
            "again, as safetensors where the lab has that"
        )
        raise WeightsError(msg) from error
    except (SafetensorError, *UNREADABLE) as error:
        msg = f"encoder {card.name}: {path} cannot be read as weights ({error!r}); "
        msg += "it is damaged or of another kind: fetch it again"
        raise WeightsError(msg) from error
    if isinstance(content, dict) and card.container:
        content = content.get(card.container, content)
    return _named_tensors(card, path, content)


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do, whatever it is called: a length, then JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{" or path.suffix == ".safetensors"


def _named_tensors(card: EncoderCard, path: Path, content: Any) -> dict[str, torch.Tensor]:
    """Return the content of a file if it is a table of named, dense tensors."""
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        held = ""
        if isinstance(content, dict) and content:
            more = ", ..." if len(content) > NAMED_KEYS else ""
            held = f", but {', '.join(str(name) for name in [*content][:NAMED_KEYS])}{more}"
        msg = f"encoder {card.name}: {path} holds no table of named tensors{held}; take the file "
        msg += "as it was published"
        raise WeightsError(msg)
    for name, tensor in content.items():
        if tensor.layout is not torch.strided:
            msg = f"encoder {card.name}: {path} has {name} as {tensor.layout}; only dense tensors "
            msg += "are loaded: take the file as it was published"
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
        A tensor is missing, left over, of another shape or type, or has values that are no
        numbers.
    """
    state = renamed(without(published, card.unused), card.layout)
    missing, left_over = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or left_over:
        said = [f"lacks {_some(missing)}"] if missing else []
        said += [f"has {_some(left_over)}, which the model does not know"] if left_over else []
        msg = f"encoder {card.name}: {path} {' and '.join(said)}; {ANOTHER}"
        raise WeightsError(msg)
    for name, place in expected.items():
        check_tensor(card, path, state[name], place, name=name)
    return state


def check_tensor(
    card: EncoderCard, path: Path, tensor: torch.Tensor, place: torch.Tensor, *, name: str
) -> None:
    """Refuse a tensor that is no trained value of its place in the model.

    Raises
    ------
    WeightsError
        It is of another shape or type, holds values that are no numbers, or is a matrix of one
        value only: a model with such a layer sees no difference between tiles.
    """
    fault = ""
    if tensor.shape != place.shape:
        fault = f"has {name} of {tuple(tensor.shape)} where {tuple(place.shape)} belongs; {ANOTHER}"
    elif tensor.is_floating_point() != place.is_floating_point():
        fault = f"has {name} of {tensor.dtype} where {place.dtype} belongs; {ANOTHER}"
    elif not tensor.isfinite().all():
        fault = f"has values in {name} that are not numbers; it is damaged: fetch it again"
    elif name.endswith("weight") and tensor.ndim > 1 and (tensor == tensor.flatten()[0]).all():
        fault = f"has one value everywhere in {name}; it was never trained, or is damaged: fetch "
        fault += "it again"
    if fault:
        msg = f"encoder {card.name}: {path} {fault}"
        raise WeightsError(msg)


def _some(names: set[str]) -> str:
    first = sorted(names)[:3]
    more = f" and {len(names) - len(first)} more" if len(names) > len(first) else ""
    return ", ".join(first) + more
