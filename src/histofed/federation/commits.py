"""Commits: files that hold a moment of a run whole, or are known to be damaged.

A commit is one safetensors file: numbers and words as JSON in its header, tensors beside them, and
a digest over both. Reading one executes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from histofed.errors import FileDamaged, OutputUnwritable, StoreError
from histofed.federation.state import digest_of
from histofed.io.atomic import atomic_path, naming_output, sweep

if TYPE_CHECKING:
    from pathlib import Path

FORMAT_VERSION = 1
KEPT = 2
"""Commits that stay: the last one, and the one before in case the disk has damaged it."""


def write_commit(folder: Path, number: int, content: dict[str, Any], *, kind: str) -> None:
    """Write a commit that survives a crash of process or machine; drop all but the last two.

    Parameters
    ----------
    content
        Numbers, words, None, tensors, and dicts, lists and tuples of these.
    kind
        What the folder is the record of.

    Raises
    ------
    StoreError
        Something else is in ``content``.
    OutputUnwritable
        The disk is full, or the folder is not ours.
    """
    tensors: dict[str, Tensor] = {}
    packed = _pack(content, tensors, where=kind)
    record = json.dumps({"kind": kind, "format_version": FORMAT_VERSION, "content": packed})
    header = {"record": record, "digest": _digest(record, tensors)}
    path = folder / _name(number)
    with atomic_path(path) as temporary:
        try:
            # One entry: safetensors writes several in any order.
            save_file(tensors, temporary, metadata={"commit": json.dumps(header)})
        except SafetensorError as error:
            msg = f"{path} cannot be written ({error}); is the disk full?"
            raise OutputUnwritable(msg) from error
    with naming_output(folder):
        _sync(folder)
        for old in commits_in(folder):
            if old <= number - KEPT:
                (folder / _name(old)).unlink(missing_ok=True)


def read_commit(folder: Path, number: int, *, kind: str) -> dict[str, Any]:
    """Return what `write_commit` was given; tensors in CPU memory.

    Raises
    ------
    FileDamaged
        The file is truncated or overwritten.
    StoreError
        The commit is of something else, or of another version.
    """
    path = folder / _name(number)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["commit"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        record, digest = header["record"], header["digest"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        msg = f"{path}: cannot be read as a commit ({type(error).__name__}: {error})"
        raise FileDamaged(msg) from error
    if _digest(record, tensors) != digest:
        msg = f"{path}: its content is not what was written (the digest differs)"
        raise FileDamaged(msg)
    found = json.loads(record)
    if found["kind"] != kind or found["format_version"] != FORMAT_VERSION:
        msg = (
            f"{path}: expected a {kind} of version {FORMAT_VERSION}, found a {found['kind']} of "
            f"version {found['format_version']}; name another folder"
        )
        raise StoreError(msg)
    content: dict[str, Any] = _unpack(found["content"], tensors)
    return content


def read_last(folder: Path, *, kind: str) -> tuple[dict[str, Any], list[str]]:
    """Return the last sound commit, and what is wrong with each later one.

    Raises
    ------
    StoreError
        There is no commit, or none that is sound; each fault is named.
    """
    faults: list[str] = []
    # Nobody else writes here any more: who resumes has taken the place of who was killed.
    sweep(folder, before_s=float("inf"))
    for number in reversed(commits_in(folder)):
        try:
            return read_commit(folder, number, kind=kind), faults
        except FileDamaged as fault:
            faults.append(str(fault))
    what = "no commit is sound:\n  " + "\n  ".join(faults) if faults else "there is no commit"
    msg = f"{folder}: no {kind} to resume ({what}); start the run anew in another folder"
    raise StoreError(msg)


def commits_in(folder: Path) -> list[int]:
    """Return the numbers of the commits that are there, ascending."""
    names = (path.stem.removeprefix("round-") for path in folder.glob("round-*.safetensors"))
    return sorted(int(name) for name in names if name.isdecimal())


def _name(number: int) -> str:
    return f"round-{number:04d}.safetensors"


def _digest(record: str, tensors: dict[str, Tensor]) -> str:
    return hashlib.sha256(f"{record}\0{digest_of(tensors)}".encode()).hexdigest()


def _sync(folder: Path) -> None:
    """Make the renames of a folder survive the machine, not only the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _pack(value: Any, tensors: dict[str, Tensor], *, where: str) -> Any:
    """Return a value as JSON that keeps apart what JSON does not, and put its tensors aside."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy: safetensors refuses tensors that share memory.
        whole = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        tensors[name] = whole
        return {"tensor": name}
    if isinstance(value, dict):
        items = [
            [_key(key, where), _pack(each, tensors, where=f"{where}.{key}")]
            for key, each in value.items()
        ]
        return {"dict": items}
    if isinstance(value, (list, tuple)):
        each_packed = [_pack(each, tensors, where=f"{where}[{i}]") for i, each in enumerate(value)]
        return {"tuple": each_packed} if isinstance(value, tuple) else each_packed
    msg = (
        f"{where} is a {type(value).__name__}; a commit holds numbers, words, tensors, and dicts, "
        "lists and tuples of these"
    )
    raise StoreError(msg)


def _key(key: Any, where: str) -> str | int:
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        msg = f"{where}: the key {key!r} is neither a word nor a whole number"
        raise StoreError(msg)
    return key


def _unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(packed, list):
        return [_unpack(each, tensors) for each in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, value),) = packed.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: _unpack(each, tensors) for key, each in value}
    return tuple(_unpack(each, tensors) for each in value)
