"""Quality flags of a tile: their names, and their bits.

Array suffixes: N tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

FLAGS = ("unreadable", "off_stain", "pen", "blur", "dark", "fat")
"""Flag i is bit i. In this order a tile with several flags is counted and drawn: as its first."""


def bits(names: Collection[str]) -> int:
    """Return the bit mask of some flags."""
    return sum(1 << FLAGS.index(name) for name in names)


def first_flag(flags_N: NDArray[np.integer], among: Sequence[str] = FLAGS) -> list[str]:
    """Return each tile's first flag of ``among``, or nothing where it has none."""
    order = [name for name in FLAGS if name in among]
    return [
        next((name for name in order if value & bits([name])), "") for value in flags_N.tolist()
    ]
