"""Columns of many numbers, as three groups."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.evaluation.thirds import MOST_NUMBERS, THIRDS, grouped
from histofed.errors import CohortError


def cells(*values):
    return {f"p{number}": str(value) for number, value in enumerate(values)}


def test_ages_are_thirds_and_the_unknown_are_apart():
    found = grouped("age", cells(*range(30, 60), "not known"), unknown="not known")
    assert Counter(found.values()) == {
        "lower third (30 to 39)": 10,
        "middle third (40 to 49)": 10,
        "upper third (50 to 59)": 10,
        "not known": 1,
    }
    assert found["p9"] == "lower third (30 to 39)"
    assert found["p10"] == "middle third (40 to 49)"


def test_words_and_few_numbers_are_groups_as_they_are():
    for column in (cells("f", "m", "f"), cells(*range(MOST_NUMBERS)), cells(1, 2, "x")):
        assert grouped("sex", column, unknown="not known") == column


def test_what_is_no_number_among_many_is_named():
    with pytest.raises(
        CohortError, match=r"column 'age' holds numbers of 20 patients, and p20 '>8"
    ):
        grouped("age", cells(*range(20), ">89"), unknown="not known")


@given(st.lists(st.integers(0, 30), min_size=12, max_size=60))
def test_equal_numbers_are_together_and_groups_rise(values):
    found = grouped("age", cells(*values), unknown="not known")
    if len(set(values)) <= MOST_NUMBERS:
        return
    third = [THIRDS.index(found[f"p{number}"].split(" (")[0]) for number in range(len(values))]
    for one, first in zip(values, third, strict=True):
        for other, second in zip(values, third, strict=True):
            assert one != other or first == second
            assert one >= other or first <= second
    assert third.count(0) >= len(values) / 3
