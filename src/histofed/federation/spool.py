"""Tensors on disk behind a mapping that reads one at a time.

With a thousand sites the updates of a round do not fit in memory; strategies and the gate take
tensor by tensor, site by site, and need no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate


class SpooledTensors(Mapping[str, "Tensor"]):
    """Name -> tensor, read from a safetensors file each time that it is asked for.

    The file must stay as long as it is used; it is opened for every tensor, since a process may
    hold only so many open.

    Parameters
    ----------
    tensors
        What is written, over a file that is there.
    """

    def __init__(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        self.path = path
        self._names = tuple(tensors)
        # Copies, because the format refuses tensors that share memory.
        save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        with safe_open(self.path, framework="pt") as file:
            value: Tensor = file.get_tensor(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def spooled(update: SiteUpdate, folder: Path) -> SiteUpdate:
    """Return the update with its tensors in files of a folder, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    return replace(
        update,
        state=SpooledTensors(folder / "state.safetensors", update.state),
        controls=SpooledTensors(folder / "controls.safetensors", update.controls),
    )
