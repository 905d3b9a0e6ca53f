from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from histofed.core.metrics.raters import cohen_kappa, mean_of_groups
from histofed.errors import CohortError

answers = st.lists(
    st.tuples(st.sampled_from("adu"), st.sampled_from("adu")), min_size=1, max_size=30
)


@given(answers)
def test_kappa_is_cohens(pairs):
    first, second = (list(each) for each in zip(*pairs, strict=True))
    found = cohen_kappa(first, second, n_resamples=50)
    if len({*first, *second}) == 1:
        assert found is None
        return
    assert found is not None
    assert found.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    swapped = cohen_kappa(second, first, n_resamples=50)
    assert swapped is not None
    assert swapped.value == pytest.approx(found.value)
    assert math.isnan(found.low) or found.low <= found.value <= found.high


def test_kappas_of_the_textbook():
    """Agreement 0.7 where chance gives 0.5 (Cohen 1960)."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(first, second)
    assert found is not None
    assert found.value == pytest.approx(0.4)
    assert 0.1 < found.low < 0.25
    assert 0.55 < found.high < 0.7


def test_one_patient_has_no_interval():
    found = cohen_kappa(["a"], ["b"])
    assert found is not None
    assert found.value == 0
    assert math.isnan(found.low)


def test_tiles_of_one_patient_are_no_more_than_one_patient():
    alone = mean_of_groups([1, 1, 0, 1], ["p"] * 4)
    assert alone.value == 0.75
    assert math.isnan(alone.low)
    # The same tiles many times over tell no more of how patients differ.
    few = mean_of_groups([1, 0, 1, 1], ["a", "b", "c", "d"], seed=1)
    many = mean_of_groups(
        [1] * 9 + [0] * 9 + [1] * 18, list("a" * 9 + "b" * 9 + "c" * 9 + "d" * 9), seed=1
    )
    assert (many.value, many.low, many.high) == pytest.approx((few.value, few.low, few.high))


@pytest.mark.parametrize("call", [lambda: cohen_kappa(["a"], []), lambda: mean_of_groups([], [])])
def test_nothing_to_compare_is_refused(call):
    with pytest.raises(CohortError, match="at least"):
        call()
