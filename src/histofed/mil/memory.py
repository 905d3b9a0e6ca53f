"""Room for the features of a cohort: memory while they fit, else a file that is paged in.

Suffixes: N tiles of all patients, D features.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from histofed.errors import OutputUnwritable

if TYPE_CHECKING:
    from torch import Tensor

SHARE_OF_MEMORY = 0.5
"""Most of the memory that features may fill; the rest is for batches, models and other work."""

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def room_for(n_tiles: int, dim: int, *, scratch: Path, limit_bytes: int | None = None) -> Tensor:
    """Return float16 room ``(N, D)``, in memory or in a file without a name.

    The file vanishes with the process, however that ends. Pages of it that were not used for long
    leave memory by themselves, so training goes on when a cohort is larger than memory.

    Parameters
    ----------
    scratch
        A folder on a disk with room, where the file is made.
    limit_bytes
        More than this goes to the file; None takes half of the memory there is.

    Raises
    ------
    OutputUnwritable
        There is too little room on the disk.
    """
    n_bytes = 2 * n_tiles * dim
    if n_bytes <= (SHARE_OF_MEMORY * memory_bytes() if limit_bytes is None else limit_bytes):
        return torch.empty(n_tiles, dim, dtype=torch.float16)
    scratch.mkdir(parents=True, exist_ok=True)
    # Asked now: a mapped page that finds the disk full would kill the process.
    if (free_bytes := shutil.disk_usage(scratch).free) < n_bytes:
        msg = (
            f"{scratch}: {free_bytes / 1e9:.1f} GB are free, and features of {n_bytes / 1e9:.1f} "
            "GB, which do not fit in memory, need them; free the disk or name a folder on another "
            "one (work=PATH)"
        )
        raise OutputUnwritable(msg)
    with tempfile.TemporaryFile(dir=scratch) as file:
        mapped = np.memmap(file, dtype=np.float16, mode="w+", shape=(n_tiles, dim))
    return torch.from_numpy(mapped)


def memory_bytes() -> int:
    """Return the memory of this machine, or less where the system grants this process less."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    granted = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.is_file() else "max"
    return there if granted == "max" else min(there, int(granted))
