from __future__ import annotations

import pytest

from histofed.core.words import counted, sized


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


@pytest.mark.parametrize(
    ("n_bytes", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_540_000, "1.54 MB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (210_917_289, "211 MB"),
        (999_500_000_000, "1.00 TB"),
        (4_200_000_000_000_000, "4,200.00 TB"),
    ],
)
def test_bytes_have_three_digits(n_bytes: int, said: str) -> None:
    assert sized(n_bytes) == said
