"""Work in steps: a generator that yields which part of it is done, 0 to 1, and returns its result.

Whoever drives it can see to other things between two steps, and tell people how far it is.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Given = ParamSpec("Given")
Result = TypeVar("Result")


def to_the_end(
    steps: Callable[Given, Generator[float, None, Result]],
) -> Callable[Given, Result]:
    """Return the same work as a plain function, which is done in one go."""

    @wraps(steps)
    def work(*args: Given.args, **options: Given.kwargs) -> Result:
        running = steps(*args, **options)
        while True:
            try:
                next(running)
            except StopIteration as end:
                result: Result = end.value
                return result

    return work


def part_of(
    steps: Generator[float, None, Result], *, start: float, end: float
) -> Generator[float, None, Result]:
    """Do work that is only the part from ``start`` to ``end`` of a larger one."""
    while True:
        try:
            done = next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        yield start + (end - start) * done
