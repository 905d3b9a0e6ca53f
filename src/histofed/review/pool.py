"""Open slides, shared by the requests of a page.

Reading is thread safe, closing a slide that another thread reads is not. So slides are lent: one
that is to go is closed by whoever gives it back last. A reader that still holds a file which was
replaced or has vanished is not used again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from histofed.errors import SlideError, SlideUnreadable
from histofed.io.readers import block_memory, open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from histofed.core.types import Slide
    from histofed.io.readers import BlockMemory, SlideReader

MAX_OPEN = 16

BLOCKS_BYTES = 128 << 20
"""Memory for decoded blocks: tiles of the viewer lap over, so neighbours decode the same ones."""

Stamp: TypeAlias = tuple[int, int, int]
"""Which file it is, its size in bytes and when it was written."""


@dataclass(slots=True, eq=False)
class _Loan:
    """An open slide and how many requests are reading it."""

    reader: SlideReader
    stamp: Stamp | None
    users: int = 0
    leaving: bool = False


class SlidePool:
    """At most ``max_open`` slides kept open, the least recently used closed first.

    Parameters
    ----------
    slides
        ``slide_id`` -> slide; no other file is ever opened.
    opener
        Opens one slide.
    """

    def __init__(
        self,
        slides: Mapping[str, Slide],
        *,
        max_open: int = MAX_OPEN,
        opener: Callable[[Slide], SlideReader] | None = None,
    ) -> None:
        self._slides = slides
        self._max_open = max_open
        self._opener = opener or partial(_open, kept=block_memory(BLOCKS_BYTES))
        self._loans: OrderedDict[str, _Loan] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def lend(self, slide_id: str) -> Iterator[SlideReader]:
        """Lend an open slide.

        Raises
        ------
        SlideError
            It cannot be opened, or reading it failed; the next loan opens it afresh, because a
            reader that has failed once goes on failing.
        """
        loan = self._borrow(slide_id, self.stamp(slide_id))
        try:
            yield loan.reader
        except SlideError:
            with self._lock:
                self._dismiss(slide_id, loan)
            raise
        finally:
            self._give_back(loan)

    def close(self) -> None:
        """Close every slide; those being read are closed when they are given back."""
        with self._lock:
            for slide_id, loan in list(self._loans.items()):
                self._dismiss(slide_id, loan)

    def stamp(self, slide_id: str) -> Stamp | None:
        """Return what tells the file from any other; None for a slide without a file.

        Raises
        ------
        SlideUnreadable
            The file is not there.
        """
        path = self._slides[slide_id].path
        if path is None:
            return None
        try:
            state = path.stat()
        except OSError as error:
            msg = f"{path}: the file is not there ({error.strerror}); restore it or its drive"
            raise SlideUnreadable(msg) from error
        return state.st_ino, state.st_size, state.st_mtime_ns

    def _borrow(self, slide_id: str, stamp: Stamp | None) -> _Loan:
        with self._lock:
            if loan := self._take(slide_id, stamp):
                return loan
        # Outside the lock: on a network drive this takes seconds, and others are reading.
        reader = self._opener(self._slides[slide_id])
        with self._lock:
            if loan := self._take(slide_id, stamp):
                reader.close()
                return loan
            loan = self._loans[slide_id] = _Loan(reader, stamp, users=1)
            while len(self._loans) > self._max_open:
                self._dismiss(*next(iter(self._loans.items())))
            return loan

    def _take(self, slide_id: str, stamp: Stamp | None) -> _Loan | None:
        loan = self._loans.get(slide_id)
        if loan is None:
            return None
        if loan.stamp != stamp:
            self._dismiss(slide_id, loan)
            return None
        self._loans.move_to_end(slide_id)
        loan.users += 1
        return loan

    def _give_back(self, loan: _Loan) -> None:
        with self._lock:
            loan.users -= 1
            if loan.leaving and loan.users == 0:
                loan.reader.close()

    def _dismiss(self, slide_id: str, loan: _Loan) -> None:
        if self._loans.get(slide_id) is loan:
            del self._loans[slide_id]
            loan.leaving = True
            if loan.users == 0:
                loan.reader.close()


def _open(slide: Slide, *, kept: BlockMemory) -> SlideReader:
    if slide.path is None:
        msg = f"slide {slide.slide_id} came without an image"
        raise SlideError(msg)
    return open_slide(slide.path, mpp=slide.mpp, kept=kept)
