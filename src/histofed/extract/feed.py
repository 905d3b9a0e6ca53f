"""Tiles of many slides -> full batches -> features of each slide, on a thread of their own.

A GPU wants full batches, and biopsies have few tiles: a batch holds tiles of several slides. The
features of a tile must not depend on its neighbours, or a job that was killed would end with other
bytes than one that was not. So every batch has the same shape, the last one filled up with black:
then an encoder does the same arithmetic on a tile wherever it lies. (Of another shape it does not:
libraries choose the order of their sums by it.)

Suffixes: N tiles of a slide, B tiles of a batch, H x W pixels, 3 RGB, D features.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from histofed.errors import ConfigError
from histofed.extract.encoders.engines import has_shape_of_batch
from histofed.extract.encoders.transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from histofed.extract.encoders import TileEncoder
    from histofed.extract.encoders.transfers import Started

AHEAD_BYTES = 128 * 2**20
"""Tiles that wait for the encoder: on a CPU for half a minute, in which it does not wait while the
tissue of the next slide is found; 900 of 224 px."""

LOOK_S = 0.001
"""Between two looks at a batch that a GPU computes, while there is no other to give it."""


class SlideFeed:
    """The features of one slide while they are made, by each of some encoders.

    Attributes
    ----------
    features
        Encoder -> features ``(N, D)``, when the last tile is encoded.
    """

    def __init__(self, n_tiles: int, dims: Mapping[str, int]) -> None:
        assert n_tiles > 0  # a slide without tiles has no features
        self.names = tuple(dims)
        self.features: Future[dict[str, NDArray[np.float16]]] = Future()
        self._made = {name: np.empty((n_tiles, dim), np.float16) for name, dim in dims.items()}
        self._left = n_tiles

    def fill(
        self, numbers_B: NDArray[np.int64], found: Mapping[str, NDArray[np.float16]], rows: slice
    ) -> None:
        """Take over the features of some tiles, which are these rows of a batch."""
        for name, made_ND in self._made.items():
            made_ND[numbers_B] = found[name][rows]
        self._left -= len(numbers_B)
        if not self._left:
            self.features.set_result(self._made)

    def fail(self, error: BaseException) -> None:
        """Say that there will be no features."""
        if not self.features.done():
            self.features.set_exception(error)


class EncoderFeed:
    """Encoders behind a queue of batches. One thread adds tiles; use as a context manager.

    Parameters
    ----------
    encoders
        They are on one device and take tiles of one size.
    batch_size
        Tiles of every batch; only the last one may hold fewer.
    """

    def __init__(self, encoders: Mapping[str, TileEncoder], *, batch_size: int) -> None:
        self.batch_size = batch_size
        self._dims = {name: encoder.card.dim for name, encoder in encoders.items()}
        (self.device,) = {encoder.device for encoder in encoders.values()}
        (self._size_px,) = {encoder.card.size_px for encoder in encoders.values()}
        self._fills_up = has_shape_of_batch(self.device)
        self._transfers = Transfers(encoders)
        self._filling: dict[tuple[str, ...], _Batch] = {}
        ahead = AHEAD_BYTES // (batch_size * self._size_px**2 * 3)
        self._waiting: queue.Queue[_Batch | None] = queue.Queue(max(ahead, 2))
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._encode_all, name="encoder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.flush()
        else:
            self._given_up.set()
        self._waiting.put(None)
        self._thread.join()

    def expect(self, n_tiles: int, names: Sequence[str]) -> SlideFeed:
        """Return what will hold the features of a slide, by the encoders of these names."""
        return SlideFeed(n_tiles, {name: self._dims[name] for name in names})

    def add(
        self, slide: SlideFeed, numbers_B: NDArray[np.int64], tiles_BHW3: NDArray[np.uint8]
    ) -> None:
        """Hand over tiles, which are these rows of a slide's features; they are copied.

        Returns when there is room for them: the encoder may be many batches behind.
        """
        if slide.features.done():  # before the last tile: the encoder failed
            slide.features.result()
        start = 0
        while start < len(numbers_B):
            if slide.names not in self._filling:
                room_BHW3 = self._transfers.room(self.batch_size, self._size_px)
                self._filling[slide.names] = _Batch(room_BHW3, slide.names)
            batch = self._filling[slide.names]
            start += batch.take(slide, numbers_B[start:], tiles_BHW3[start:])
            if batch.is_full:
                self._waiting.put(self._filling.pop(slide.names))

    def flush(self) -> None:
        """Let batches go that are not full: no more tiles come for now."""
        for names in list(self._filling):
            self._waiting.put(self._filling.pop(names))

    def _encode_all(self) -> None:
        """Encode batches to the end, and hand their features out."""
        running: deque[tuple[_Batch, Started]] = deque()
        is_open = True
        while is_open or running:
            batch = None
            if is_open:
                try:
                    batch = self._waiting.get(timeout=LOOK_S if running else None)
                    is_open = batch is not None
                except queue.Empty:
                    pass
            if batch is not None and not self._given_up.is_set():
                self._start(batch, running)
            if running:
                is_full = len(running) >= self._transfers.depth
                _hand_out(running, wait=is_full or not is_open)

    def _start(self, batch: _Batch, running: deque[tuple[_Batch, Started]]) -> None:
        tiles_BHW3 = batch.filled_up() if self._fills_up else batch.taken()
        try:
            running.append((batch, self._transfers.start(tiles_BHW3, batch.names)))
        except torch.OutOfMemoryError as error:
            msg = f"batch_size={self.batch_size} does not fit into the memory of the device beside "
            msg += f"{', '.join(batch.names)}; lower batch_size, or take fewer encoders at a time"
            batch.fail(ConfigError(msg).with_traceback(error.__traceback__))
        except Exception as error:  # noqa: BLE001  # whoever waits for the features raises it
            batch.fail(error)


def _hand_out(running: deque[tuple[_Batch, Started]], *, wait: bool) -> None:
    """Give the features of the first batch to its slides, if they are there or to be waited for."""
    batch, started = running[0]
    try:
        if not (wait or started.is_there()):
            return
        batch.hand_out(started.result())
    except Exception as error:  # noqa: BLE001  # whoever waits for the features raises it
        batch.fail(error)
    running.popleft()


class _Batch:
    """Tiles of one or many slides, and whose they are."""

    def __init__(self, tiles_BHW3: torch.Tensor, names: tuple[str, ...]) -> None:
        self.names = names
        self._rows_BHW3 = tiles_BHW3
        self._parts: list[tuple[SlideFeed, NDArray[np.int64]]] = []
        self._n_tiles = 0

    @property
    def is_full(self) -> bool:
        """Whether no tile has room."""
        return self._n_tiles == len(self._rows_BHW3)

    def take(self, slide: SlideFeed, numbers: NDArray[np.int64], tiles: NDArray[np.uint8]) -> int:
        """Copy the first tiles, as many as have room, and return how many they are."""
        n_tiles = min(len(numbers), len(self._rows_BHW3) - self._n_tiles)
        self._rows_BHW3.numpy()[self._n_tiles : self._n_tiles + n_tiles] = tiles[:n_tiles]
        self._parts.append((slide, numbers[:n_tiles]))
        self._n_tiles += n_tiles
        return n_tiles

    def taken(self) -> torch.Tensor:
        """Return the tiles."""
        return self._rows_BHW3[: self._n_tiles]

    def filled_up(self) -> torch.Tensor:
        """Return the tiles, and black for every one that has room."""
        self._rows_BHW3[self._n_tiles :] = 0
        return self._rows_BHW3

    def hand_out(self, found: Mapping[str, NDArray[np.float16]]) -> None:
        """Give every slide its rows."""
        start = 0
        for slide, numbers_B in self._parts:
            slide.fill(numbers_B, found, slice(start, start + len(numbers_B)))
            start += len(numbers_B)

    def fail(self, error: BaseException) -> None:
        """Tell every slide that its features cannot be made."""
        for slide, _ in self._parts:
            slide.fail(error)
