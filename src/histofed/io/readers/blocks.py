"""Reading many rectangles of a level so that each stored block is decoded once.

A tiled TIFF stores a level as *blocks*: rectangles that are compressed one by one (the format calls
them tiles; here a tile is what an encoder sees). Neighbouring rectangles share blocks, and decoding
is what reading costs. So the blocks are walked row by row, and the pixels of each are handed at
once to every rectangle that it touches. To bound what is held in memory, a wide level is walked in
vertical stripes; only the blocks on the border of two stripes are decoded twice.

Suffixes: N rectangles, V visits to a block, P pairs of a rectangle and a block that share pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

Ints: TypeAlias = NDArray[np.int64]

MAX_OPEN_BYTES = 192 * 2**20
"""Most memory for rectangles that are begun and not complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a level: its length, that of its blocks, and how many are stored.

    The last block is padded; there may be more blocks than the level shows.
    """

    length_px: int
    block_px: int
    n_blocks: int

    def span(self, start_N: Ints, size_px: int) -> tuple[Ints, Ints]:
        """Return the first and the last block of each interval; outside the level, last < first."""
        low_N = np.clip(start_N, 0, self.length_px)
        high_N = np.clip(start_N + size_px, 0, self.length_px)
        first_N = low_N // self.block_px
        return first_N, np.where(high_N > low_N, (high_N - 1) // self.block_px, first_N - 1)

    def shared(self, start_P: Ints, size_px: int, block_P: Ints) -> tuple[Ints, Ints, Ints]:
        """Return where shared pixels begin in the interval and in the block, and how many."""
        origin_P = block_P * self.block_px
        low_P = np.maximum(start_P, origin_P)
        high_P = np.minimum(np.minimum(start_P + size_px, origin_P + self.block_px), self.length_px)
        return low_P - start_P, low_P - origin_P, high_P - low_P


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """In which order to decode blocks, and what to copy from each.

    Attributes
    ----------
    order_N
        Numbers of the rectangles, about in the order in which they become complete. A *place* is a
        position in this order.
    block_V
        Number of the block of each visit, row by row in the level.
    place_P, window_P6
        Place of a rectangle that wants pixels of the block, and which: top and left in the
        rectangle, top and left in the block, height and width.
    start_V
        First pair of each visit, and the end of the last.
    touched
        How many different blocks the rectangles touch. There are a few more visits where there is
        more than one stripe.
    """

    order_N: Ints
    block_V: Ints
    place_P: Ints
    window_P6: Ints
    start_V: Ints
    touched: int

    def pairs(self, visit: int) -> Iterator[tuple[int, list[int]]]:
        """Yield place and window of every rectangle that a visit serves."""
        pairs = slice(int(self.start_V[visit]), int(self.start_V[visit + 1]))
        return zip(self.place_P[pairs].tolist(), self.window_P6[pairs].tolist(), strict=True)


def plan_reading(
    corners_N2: Ints,
    size_px: tuple[int, int],
    axes: tuple[Axis, Axis],
    *,
    max_open_bytes: int = MAX_OPEN_BYTES,
) -> Plan:
    """Plan the reading of rectangles of one size.

    Parameters
    ----------
    corners_N2
        Top-left (x, y), pixels of the level. Rectangles may hang over the border.
    size_px
        Width and height of every rectangle.
    axes
        The level along x and along y.
    """
    most_open = max_open_bytes // (3 * size_px[0] * size_px[1])
    stripe_N = _stripes(corners_N2, size_px, axes, most_open)
    order_N = np.lexsort((corners_N2[:, 0], corners_N2[:, 1], stripe_N))
    corners_N2, stripe_N = corners_N2[order_N], stripe_N[order_N]
    place_P, block_P = _touching(corners_N2, size_px, axes)
    by_visit_P = np.lexsort((place_P, block_P, stripe_N[place_P]))
    place_P, block_P = place_P[by_visit_P], block_P[by_visit_P]
    stripe_P = stripe_N[place_P]
    new_P = np.ones(len(block_P), dtype=bool)
    new_P[1:] = (block_P[1:] != block_P[:-1]) | (stripe_P[1:] != stripe_P[:-1])
    first_V = np.flatnonzero(new_P)
    (across, down), columns = axes, axes[0].n_blocks
    x = across.shared(corners_N2[place_P, 0], size_px[0], block_P % columns)
    y = down.shared(corners_N2[place_P, 1], size_px[1], block_P // columns)
    return Plan(
        order_N=order_N,
        block_V=block_P[first_V],
        place_P=place_P,
        window_P6=np.stack([y[0], x[0], y[1], x[1], y[2], x[2]], axis=-1),
        start_V=np.append(first_V, len(block_P)),
        touched=len(np.unique(block_P)),
    )


def _stripes(
    corners_N2: Ints, size_px: tuple[int, int], axes: tuple[Axis, Axis], most_open: int
) -> Ints:
    """Return the stripe of each rectangle: as wide as keeps few enough rectangles open."""
    stripe_px, stripe_N = axes[0].length_px, np.zeros(len(corners_N2), dtype=np.int64)
    while stripe_px > 2 * size_px[0] and _open(corners_N2, stripe_N, size_px, axes[1]) > most_open:
        stripe_px = -(-stripe_px // 2)
        stripe_N = corners_N2[:, 0] // stripe_px
    return stripe_N


def _open(corners_N2: Ints, stripe_N: Ints, size_px: tuple[int, int], down: Axis) -> int:
    """Return the largest number of rectangles of one stripe that one row of blocks touches."""
    first_N, last_N = down.span(corners_N2[:, 1], size_px[1])
    most = 0
    for stripe in np.unique(stripe_N):
        inside_N = stripe_N == stripe
        changes = np.zeros(down.n_blocks + 2, dtype=np.int64)
        np.add.at(changes, first_N[inside_N], 1)
        np.add.at(changes, last_N[inside_N] + 1, -1)
        most = max(most, int(np.cumsum(changes).max()))
    return most


def _touching(
    corners_N2: Ints, size_px: tuple[int, int], axes: tuple[Axis, Axis]
) -> tuple[Ints, Ints]:
    """Return every pair of a rectangle and a block that share pixels."""
    left_N, right_N = axes[0].span(corners_N2[:, 0], size_px[0])
    top_N, bottom_N = axes[1].span(corners_N2[:, 1], size_px[1])
    places, blocks = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for down in range(int((bottom_N - top_N).max(initial=-1)) + 1):
        for across in range(int((right_N - left_N).max(initial=-1)) + 1):
            (found,) = np.nonzero((top_N + down <= bottom_N) & (left_N + across <= right_N))
            places.append(found)
            blocks.append((top_N[found] + down) * axes[0].n_blocks + left_N[found] + across)
    return np.concatenate(places), np.concatenate(blocks)
