"""Rounds and updates as bytes, and back: safetensors with a header of JSON; nothing is executed.

A message is one safetensors file. Its tensors are called ``<group>/<name>`` (``state/net.weight``);
what is no tensor is one JSON object under ``histofed`` in the file's metadata, with ``kind`` and
``version`` first. Bytes that say they are anything else, or of another version, are refused before
a tensor is looked at, and bytes above a limit before anything is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from histofed.errors import FederationError
from histofed.federation.differences import differences, sums
from histofed.federation.messages import Round, SiteUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    Groups = dict[str, dict[str, Tensor]]

VERSION = 1
MAX_BYTES = 1 << 30
"""A model of a quarter of a milliard parameters; whoever sends more has made a mistake."""

ROUND, UPDATE = "round", "update"
KINDS: dict[type, str] = {str: "words", int: "a whole number", list: "a list of names"}

WHOLE, DIFFERENCE = "whole", "float16-difference"
"""How an update carries the model: as it is, or as `histofed.federation.differences`."""


def pack(
    kind: str, fields: Mapping[str, Any], groups: Mapping[str, Mapping[str, Tensor]] | None = None
) -> bytes:
    """Return a message as bytes.

    Parameters
    ----------
    fields
        What JSON can hold; numbers are finite.
    groups
        Group -> name -> tensor. The order of the names is kept.

    Raises
    ------
    FederationError
        A field is not what JSON can hold.
    """
    groups = groups or {}
    names = {group: list(tensors) for group, tensors in groups.items()}
    header = {"kind": kind, "version": VERSION, "names": names, "fields": dict(fields)}
    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"message {kind!r}: fields must be finite numbers, words, lists and objects ({error})"
        raise FederationError(msg) from error
    # Copies, because the format refuses tensors that share memory.
    flat = {
        f"{group}/{name}": value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for group, tensors in groups.items()
        for name, value in tensors.items()
    }
    return save(flat, metadata={"histofed": text})


def unpack(data: bytes, kind: str, *, max_bytes: int = MAX_BYTES) -> tuple[dict[str, Any], Groups]:
    """Return the fields and the tensors of a message.

    Raises
    ------
    FederationError
        Too large, damaged, of another version, or not a message of this kind.
    """
    if len(data) > max_bytes:
        msg = f"message {kind!r}: {len(data)} bytes, more than the {max_bytes} that are accepted"
        raise FederationError(msg)
    try:
        header, flat = _header(data), load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"message {kind!r}: the bytes cannot be read ({type(error).__name__}: {error})"
        raise FederationError(msg) from error
    if header.get("version") != VERSION or header.get("kind") != kind:
        msg = (
            f"message {kind!r}, version {VERSION}: found {header.get('kind')!r}, version "
            f"{header.get('version')!r}; run the same version of histofed everywhere"
        )
        raise FederationError(msg)
    fields, names = header.get("fields"), header.get("names")
    if not isinstance(fields, dict) or not isinstance(names, dict):
        msg = f"message {kind!r}: its header lacks fields or names"
        raise FederationError(msg)
    return fields, _grouped(kind, names, flat)


def encode_round(current: Round) -> bytes:
    """Return a round as bytes."""
    fields = {
        "run": current.run,
        "number": current.number,
        "total": current.total,
        "base": current.base,
        "trainers": list(current.trainers),
    }
    return pack(ROUND, fields, {"state": current.state, "controls": current.controls})


def decode_round(data: bytes, *, max_bytes: int = MAX_BYTES) -> Round:
    """Return the round.

    Raises
    ------
    FederationError
        As `unpack`, or the model is not the one whose digest the message names.
    """
    fields, groups = unpack(data, ROUND, max_bytes=max_bytes)
    take = _Fields(ROUND, fields)
    current = Round(
        number=take.whole("number"),
        total=take.whole("total"),
        run=take.words("run"),
        state=groups.get("state", {}),
        controls=groups.get("controls", {}),
        trainers=take.names("trainers"),
    )
    if current.base != take.words("base"):
        msg = (
            f"round {current.number}: the model has digest {current.base[:12]}, the message names "
            f"{take.words('base')[:12]}; it was changed on the way"
        )
        raise FederationError(msg)
    return current


def encode_update(update: SiteUpdate, *, base: Mapping[str, Tensor] | None = None) -> bytes:
    """Return an update as bytes.

    Parameters
    ----------
    base
        The global model that was trained from: floating-point tensors travel as float16
        differences to it (`histofed.federation.differences`). None: the model travels as it is.
    """
    state = update.state if base is None else differences(update.state, base)
    fields = {
        "site": update.site,
        "run": update.run,
        "round": update.round,
        "base": update.base,
        "n_patients": update.n_patients,
        "n_steps": update.n_steps,
        "metrics": update.metrics,
        "encoding": WHOLE if base is None else DIFFERENCE,
    }
    return pack(UPDATE, fields, {"state": state, "controls": update.controls})


def decode_update(
    data: bytes, *, base: Mapping[str, Tensor], max_bytes: int = MAX_BYTES
) -> SiteUpdate:
    """Return the update; whether it may be used is for `histofed.federation.gate` to say.

    Parameters
    ----------
    base
        The global model that was handed out, which differences are added to.

    Raises
    ------
    FederationError
        As `unpack`, a field of the wrong type, or differences to tensors that the model has not.
    """
    fields, groups = unpack(data, UPDATE, max_bytes=max_bytes)
    take = _Fields(UPDATE, fields)
    state, encoding = groups.get("state", {}), take.words("encoding")
    if encoding not in (WHOLE, DIFFERENCE):
        msg = f"message {UPDATE!r}: encoding must be {WHOLE} or {DIFFERENCE}, found {encoding!r}"
        raise FederationError(msg)
    return SiteUpdate(
        site=take.words("site"),
        run=take.words("run"),
        round=take.whole("round"),
        base=take.words("base"),
        n_patients=take.whole("n_patients"),
        n_steps=take.whole("n_steps"),
        metrics=take.numbers("metrics"),
        controls=groups.get("controls", {}),
        state=state if encoding == WHOLE else sums(state, base),
    )


def _header(data: bytes) -> dict[str, Any]:
    """Return what `pack` wrote, from the first bytes of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    if not 0 < length <= len(data) - 8:
        msg = f"its header has {length} bytes, the whole message {len(data)}"
        raise ValueError(msg)
    found = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["histofed"])
    if not isinstance(found, dict):
        msg = f"its header is a {type(found).__name__}"
        raise TypeError(msg)
    return found


def _grouped(kind: str, names: dict[str, Any], flat: dict[str, Tensor]) -> Groups:
    """Sort tensors into their groups, in the order in which they were packed."""
    if not all(type(of) is list for of in names.values()):
        msg = f"message {kind!r}: its header must list the names of each group's tensors"
        raise FederationError(msg)
    listed = [f"{group}/{name}" for group, of in names.items() for name in of]
    if sorted(listed) != sorted(flat):
        msg = f"message {kind!r}: its header names {len(listed)} tensors, it holds {len(flat)}"
        raise FederationError(msg)
    return {group: {name: flat[f"{group}/{name}"] for name in of} for group, of in names.items()}


def _is_whole(value: object) -> bool:
    """Whether it is a whole number that every reader can hold; JSON knows no bound, nor True."""
    return type(value) is int and abs(value) < 1 << 63


class _Fields:
    """The fields of a message, taken one by one with their types."""

    def __init__(self, kind: str, fields: Mapping[str, Any]) -> None:
        self._kind = kind
        self._fields = fields

    def words(self, name: str) -> str:
        return str(self._take(name, str))

    def whole(self, name: str) -> int:
        value = self._take(name, int)
        if not _is_whole(value):
            raise self._wrong(name, "a whole number below 2^63")
        return int(value)

    def numbers(self, name: str) -> dict[str, float]:
        found = self._take(name, dict)
        if not all(type(value) is float or _is_whole(value) for value in found.values()):
            raise self._wrong(name, "an object of numbers")
        return {str(key): float(value) for key, value in found.items()}

    def names(self, name: str) -> tuple[str, ...]:
        found = self._take(name, list)
        if not all(type(value) is str for value in found):
            raise self._wrong(name, "a list of names")
        return tuple(found)

    def _take(self, name: str, wanted: type) -> Any:
        value = self._fields.get(name)
        if type(value) is not wanted:  # True is no number
            raise self._wrong(name, KINDS.get(wanted, "an object"))
        return value

    def _wrong(self, name: str, wanted: str) -> FederationError:
        found = repr(self._fields.get(name))[:60]
        msg = f"message {self._kind!r}: {name} must be {wanted}, found {found}"
        return FederationError(msg)
