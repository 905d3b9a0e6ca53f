from __future__ import annotations

import pytest

from histofed.core.words import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 slides"), (1, "1 slide"), (2, "2 slides"), (1200, "1,200 slides")]
)
def test_one_thing_is_singular(number: int, said: str) -> None:
    assert counted(number, "slide") == said


def test_a_plural_of_its_own() -> None:
    assert [counted(n, "slide that others do", "slides that others do") for n in (1, 2)] == [
        "1 slide that others do",
        "2 slides that others do",
    ]
