"""Words that several sections need."""

from __future__ import annotations

import pytest

from histofed.core.metrics import Interval
from histofed.report.words import cannot, fixed, is_point, p_words


def test_a_reason_is_given_once_with_the_first_of_whom_it_is_said():
    found = [("A", "too few"), ("B", "too few"), ("C", None), ("D", ""), ("E", "one class")]
    assert cannot(found) == "Cannot be told for A: too few. Cannot be told for E: one class."
    assert cannot([]) == ""


@pytest.mark.parametrize(
    ("p_value", "words"), [(None, None), (0.0004, "< 0.001"), (0.001, "0.001"), (0.25, "0.250")]
)
def test_p_values(p_value, words):
    assert p_words(p_value) == words


def test_a_span_of_equal_numbers_is_one():
    assert fixed([0.501, 0.502]) == "0.50"
    assert fixed([0.2, 0.4, 0.9]) == "0.20 to 0.90"


def test_only_intervals_can_be_points():
    assert is_point(Interval(1, 1, 1))
    assert not is_point(Interval(1, 0, 1))
    assert not is_point(None)
    assert not is_point("1")
