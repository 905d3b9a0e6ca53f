from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histofed.core.steps import part_of, to_the_end

if TYPE_CHECKING:
    from collections.abc import Generator


def halves(result: str, *, fails: bool = False) -> Generator[float, None, str]:
    yield 0.5
    if fails:
        raise ValueError(result)
    yield 1.0
    return result


def test_a_plain_function_returns_the_result_and_raises_the_error() -> None:
    assert to_the_end(halves)("it") == "it"
    with pytest.raises(ValueError, match="it"):
        to_the_end(halves)("it", fails=True)


def test_a_part_lies_within_its_limits_and_hands_on_the_result() -> None:
    seen: list[float] = []

    def whole() -> Generator[float, None, str]:
        first = yield from part_of(halves("a"), start=0.0, end=0.2)
        return first + (yield from part_of(halves("b"), start=0.2, end=1.0))

    def watched() -> Generator[float, None, str]:
        steps = whole()
        while True:
            try:
                seen.append(next(steps))
            except StopIteration as end:
                return end.value
            yield seen[-1]

    assert to_the_end(watched)() == "ab"
    assert seen == pytest.approx([0.1, 0.2, 0.6, 1.0])


def test_work_that_is_given_up_is_closed() -> None:
    closed = []

    def work() -> Generator[float, None, None]:
        try:
            yield 0.0
        finally:
            closed.append(True)

    part = part_of(work(), start=0.0, end=0.5)
    next(part)
    part.close()
    assert closed == [True]
