"""The global random generators as a value, so that sites sharing a process do not disturb one."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomState:
    """Where the generators of Python, numpy and torch stand; of CUDA too, once it is in use."""

    python: tuple[Any, ...]
    numpy: Any
    cpu: torch.Tensor
    cuda: list[torch.Tensor]

    @classmethod
    def capture(cls) -> RandomState:
        """Return the present state."""
        return cls(
            python=random.getstate(),
            numpy=np.random.get_state(),  # noqa: NPY002  the global generator is what is kept
            cpu=torch.get_rng_state(),
            cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        )

    @classmethod
    def of(cls, record: dict[str, Any]) -> RandomState:
        """Return the state that `record` described."""
        name, key, *rest = record["numpy"]
        return cls(**{**record, "numpy": (name, np.array(key, dtype=np.uint32), *rest)})

    def record(self) -> dict[str, Any]:
        """Return the state as numbers, words and tensors, to be kept on disk."""
        name, key, *rest = self.numpy
        return {
            "python": self.python,
            "numpy": (name, key.tolist(), *rest),
            "cpu": self.cpu,
            "cuda": self.cuda,
        }

    def restore(self) -> None:
        """Make this the present state."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Leave the generators as they were, whatever the block draws."""
    before = RandomState.capture()
    try:
        yield
    finally:
        before.restore()
