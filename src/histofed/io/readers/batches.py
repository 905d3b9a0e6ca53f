"""Batches of rectangles that fill up while blocks are decoded.

Suffixes: N rectangles (by place), B of a batch, P pairs of a rectangle and a block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from histofed.io.readers.blocks import Ints, Plan

BACKGROUND = 255
"""What the slide does not cover is white."""


class Batches:
    """The open batches of a plan. One thread begins and finishes; any may write pixels.

    Memory is used again: the pixels of a batch are the caller's until it asks for the next one.
    """

    def __init__(self, plan: Plan, size_px: tuple[int, int], batch_size: int) -> None:
        self.plan = plan
        self._batch_size = batch_size
        n_batches = -(-len(plan.order_N) // batch_size)
        self._waiting = np.bincount(plan.place_P // batch_size, minlength=n_batches)
        self._shape = (min(batch_size, len(plan.order_N)), *size_px, 3)
        self._open: dict[int, NDArray[np.uint8]] = {}
        self._spare: list[NDArray[np.uint8]] = []
        self._lost_N = np.zeros(len(plan.order_N), dtype=np.bool_)
        covered_px = int(plan.window_P6[:, 4:].prod(axis=1).sum())
        self._whole = covered_px == len(plan.order_N) * size_px[0] * size_px[1]

    def begin(self, visits: range) -> None:
        """Make room for the rectangles that these visits serve."""
        for batch in np.unique(self._batches(visits)).tolist():
            if batch not in self._open:
                self._open[batch] = self._room()

    def pixels(self, place: int) -> NDArray[np.uint8]:
        """Return the pixels ``(height, width, 3)`` of a rectangle of an open batch."""
        batch, row = divmod(place, self._batch_size)
        pixels: NDArray[np.uint8] = self._open[batch][row]
        return pixels

    def lose(self, visit: int) -> None:
        """Leave out every rectangle that a visit was to serve: its block cannot be read."""
        first, last = self.plan.start_V[visit], self.plan.start_V[visit + 1]
        self._lost_N[self.plan.place_P[first:last]] = True

    def finish(self, visits: range) -> Iterator[tuple[Ints, NDArray[np.uint8]]]:
        """Yield numbers and pixels of the batches that these visits completed."""
        served = np.bincount(self._batches(visits), minlength=len(self._waiting))
        self._waiting -= served
        for batch in np.flatnonzero((served > 0) & (self._waiting == 0)).tolist():
            room = self._open.pop(batch)
            yield from self._result(batch, room)
            self._spare.append(room)

    def untouched(self) -> Iterator[tuple[Ints, NDArray[np.uint8]]]:
        """Yield the batches of which nothing is on the slide."""
        never = np.setdiff1d(np.arange(len(self._waiting)), self.plan.place_P // self._batch_size)
        for batch in never.tolist():
            yield from self._result(batch, self._room())

    def _batches(self, visits: range) -> Ints:
        """Return the batch of every pair of some visits."""
        first, last = self.plan.start_V[visits.start], self.plan.start_V[visits.stop]
        return self.plan.place_P[first:last] // self._batch_size

    def _room(self) -> NDArray[np.uint8]:
        room = self._spare.pop() if self._spare else np.empty(self._shape, dtype=np.uint8)
        if not self._whole:
            room.fill(BACKGROUND)
        return room

    def _result(
        self, batch: int, room: NDArray[np.uint8]
    ) -> Iterator[tuple[Ints, NDArray[np.uint8]]]:
        """Yield the rectangles of a batch, if any is left."""
        places = slice(batch * self._batch_size, (batch + 1) * self._batch_size)
        numbers_B, lost_B = self.plan.order_N[places], self._lost_N[places]
        pixels_BHW3 = room[: len(numbers_B)]
        if not lost_B.any():
            yield numbers_B, pixels_BHW3
        elif not lost_B.all():
            yield numbers_B[~lost_B], pixels_BHW3[~lost_B]
