"""Walking the blocks of a plan: each is decoded once, on any thread, for all who want of it."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from histofed.errors import SlideUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from histofed.io.readers.batches import Batches
    from histofed.io.readers.blocks import Ints

    Decode: TypeAlias = Callable[[int], NDArray[np.uint8] | None]


def walk(
    batches: Batches,
    decode: Decode,
    *,
    threads: int,
    at_once: int,
    skip_damaged: bool,
    decoded: Callable[[int], None],
) -> Iterator[tuple[Ints, NDArray[np.uint8]]]:
    """Yield the rectangles of a plan in batches; see `SlideReader.read_many`.

    Parameters
    ----------
    decode
        Number of a block -> its pixels as RGB, None for one that is white.
    threads
        Threads that decode beside the caller's; 0 decodes on the caller's.
    at_once
        Blocks that one call of a thread decodes.
    decoded
        Told of how many blocks more were decoded.

    Raises
    ------
    SlideUnreadable
        A block cannot be decoded, unless ``skip_damaged``.
    """

    def visit(visits: range) -> range:
        for each in visits:
            _hand_over(batches, each, decode, skip_damaged=skip_damaged)
        return visits

    def finished(running: Future[range]) -> Iterator[tuple[Ints, NDArray[np.uint8]]]:
        visits = running.result()
        decoded(len(visits))
        yield from batches.finish(visits)

    n_visits = len(batches.plan.block_V)
    with _submitter(threads) as submit:
        running: deque[Future[range]] = deque()
        for start in range(0, n_visits, at_once):
            visits = range(start, min(start + at_once, n_visits))
            batches.begin(visits)
            running.append(submit(visit, visits))
            if len(running) > 2 * threads:
                yield from finished(running.popleft())
        while running:
            yield from finished(running.popleft())
        yield from batches.untouched()


def _hand_over(batches: Batches, visit: int, decode: Decode, *, skip_damaged: bool) -> None:
    """Decode a block and hand its pixels to every rectangle; runs on any thread."""
    try:
        pixels = decode(int(batches.plan.block_V[visit]))
    except SlideUnreadable:
        if not skip_damaged:
            raise
        batches.lose(visit)
        return
    for place, (top, left, y, x, height, width) in batches.plan.pairs(visit):
        target = batches.pixels(place)[top : top + height, left : left + width]
        target[:] = 255 if pixels is None else pixels[y : y + height, x : x + width]


@contextmanager
def _submitter(threads: int) -> Iterator[Callable[..., Future[range]]]:
    """Yield what runs a function on one of several threads or, with none, at once."""
    if threads == 0:
        yield _at_once
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="blocks")
    try:
        yield pool.submit
    finally:
        pool.shutdown(cancel_futures=True)


def _at_once(function: Callable[[range], range], visits: range) -> Future[range]:
    done: Future[range] = Future()
    done.set_result(function(visits))
    return done
