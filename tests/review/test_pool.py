from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from histofed.core.types import Slide
from histofed.errors import SlideError, SlideUnreadable
from histofed.review.pool import SlidePool


class Reader:
    """A reader that notices when it is read after it was closed."""

    opened: list[Reader]

    def __init__(self) -> None:
        self.closed = 0

    def read(self) -> None:
        assert not self.closed
        time.sleep(0.0005)
        assert not self.closed

    def close(self) -> None:
        self.closed += 1


def make_pool(max_open: int) -> tuple[SlidePool, list[Reader]]:
    opened: list[Reader] = []
    lock = threading.Lock()

    def opener(_slide: Slide) -> Reader:
        with lock:
            opened.append(Reader())
            return opened[-1]

    slides = {f"s{i}": Slide(slide_id=f"s{i}", patient_id="p", site="h") for i in range(8)}
    return SlidePool(slides, max_open=max_open, opener=opener), opened  # type: ignore[arg-type]


def test_a_slide_is_opened_once_and_the_oldest_goes() -> None:
    pool, opened = make_pool(2)
    for slide_id in ("s0", "s1", "s0", "s2"):
        with pool.lend(slide_id):
            pass
    assert [reader.closed for reader in opened] == [0, 1, 0]  # s1 was used least recently


def test_a_slide_in_use_is_closed_by_its_last_reader() -> None:
    pool, opened = make_pool(1)
    with pool.lend("s0") as first:
        with pool.lend("s1"):
            pass
        assert first.closed == 0  # type: ignore[attr-defined]
    assert opened[0].closed == 1


def test_a_failed_reader_is_opened_afresh() -> None:
    pool, opened = make_pool(4)

    def fail() -> None:
        with pool.lend("s0"):
            raise SlideUnreadable("torn")

    with pytest.raises(SlideUnreadable):
        fail()
    with pool.lend("s0"):
        pass
    assert [reader.closed for reader in opened] == [1, 0]


def test_a_slide_without_an_image_is_refused_by_name() -> None:
    pool = SlidePool({"bag": Slide(slide_id="bag", patient_id="p", site="h")})
    with pytest.raises(SlideError, match="bag came without an image"), pool.lend("bag"):
        pass


def test_many_threads_never_read_a_closed_slide_and_all_are_closed_once() -> None:
    pool, opened = make_pool(2)

    def read(number: int) -> None:
        with pool.lend(f"s{number * 7 % 5}") as reader:
            reader.read()  # type: ignore[call-arg]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(read, range(400)))
    assert sum(reader.closed == 0 for reader in opened) <= 2
    pool.close()
    assert {reader.closed for reader in opened} == {1}
