"""What JSON can hold of a dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from histofed.core.metrics import Interval
from histofed.io.metrics import plain


@dataclass(frozen=True)
class Found:
    at: dict[int, float]
    curve: np.ndarray = field(metadata={"recorded": False})
    intervals: tuple[Interval | None, ...] = ()


def test_numbers_are_kept_and_what_is_not_a_number_is_null():
    found = Found({1: np.float64(0.5), 2: float("nan")}, np.ones(3), (Interval(1, 0, 2), None))
    assert plain(found) == {
        "at": {"1": 0.5, "2": None},
        "intervals": [{"value": 1, "low": 0, "high": 2}, None],
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.0, np.inf]), [1.0, None]),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ("text", "text"),
        (None, None),
    ],
)
def test_arrays_are_lists(value, expected):
    assert plain(value) == expected
