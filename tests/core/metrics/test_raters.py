from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from histofed.core.metrics.intervals import wilson
from histofed.core.metrics.raters import cohen_kappa, share_of_groups
from histofed.errors import CohortError

answers = st.lists(
    st.tuples(st.sampled_from("adu"), st.sampled_from("adu")), min_size=1, max_size=30
)


@given(answers)
def test_kappa_is_cohens(pairs):
    first, second = (list(each) for each in zip(*pairs, strict=True))
    found = cohen_kappa(first, second, n_resamples=50)
    if len({*first, *second}) == 1 or len(first) == 1:
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


def test_the_interval_is_that_of_drawing_patients():
    """Drawing the table of answers is drawing patients: compared with patients one by one."""
    generator = np.random.default_rng(7)
    first = generator.choice(["a", "d", "u"], 60, p=[0.6, 0.3, 0.1])
    second = np.where(generator.random(60) < 0.7, first, generator.choice(["a", "d", "u"], 60))
    drawn = generator.integers(60, size=(1500, 60))
    kappas = [cohen_kappa_score(first[each], second[each]) for each in drawn]
    found = cohen_kappa(first.tolist(), second.tolist(), n_resamples=20_000)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(np.quantile(kappas, [0.025, 0.975]), abs=0.03)


def test_one_patient_has_no_kappa():
    """It could be nothing but 0: who agrees on one patient agrees by chance alone."""
    assert cohen_kappa(["a"], ["b"]) is None
    assert cohen_kappa(["a"], ["a"]) is None


def test_full_agreement_on_few_patients_is_not_certain():
    few = cohen_kappa(["a", "b"] * 3, ["a", "b"] * 3)
    many = cohen_kappa(["a", "b"] * 100, ["a", "b"] * 100)
    assert few is not None
    assert many is not None
    assert few.value == few.high == many.high == 1
    # 6 of 6 agree: at least 61% do (Wilson), of which chance gives half.
    assert few.low == pytest.approx((0.6097 - 0.5) / 0.5, abs=1e-3)
    assert many.low > 0.95


def test_who_always_says_the_same_leaves_kappa_without_an_interval():
    found = cohen_kappa(["a"] * 6, ["a", "b"] * 3)
    assert found is not None
    assert found.value == 0
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_tiles_of_one_patient_are_no_more_than_one_patient():
    alone = share_of_groups([1, 1, 0, 1], ["p"] * 4)
    assert alone.value == 0.75
    assert math.isnan(alone.low)
    # The same tiles many times over tell no more of how patients differ.
    few = share_of_groups([1, 0, 1, 1], ["a", "b", "c", "d"])
    many = share_of_groups(
        [1] * 9 + [0] * 9 + [1] * 18, list("a" * 9 + "b" * 9 + "c" * 9 + "d" * 9)
    )
    assert (many.value, many.low, many.high) == pytest.approx((few.value, few.low, few.high))


def test_four_tiles_of_two_patients_are_not_certain():
    found = share_of_groups([0, 0, 0, 0], ["a", "a", "b", "b"])
    two = wilson(0, 2)
    assert (found.value, found.low, found.high) == (two.value, two.low, two.high)
    assert found.high > 0.6


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("alikeness", [0.05, 0.3])
@pytest.mark.parametrize("sizes", [[5] * 10, [20, 1, 1, 1, 1, 1], [40, 1, 1, 1], [20, 10, 5, 5, 1]])
def test_the_interval_holds_the_share_of_all_patients(share, alikeness, sizes):
    """Tiles of patients whose shares are drawn from a beta distribution; one may have most."""
    generator = np.random.default_rng(5)
    ends = np.array([share, 1 - share]) * (1 - alikeness) / alikeness
    groups = np.repeat(np.arange(len(sizes)), sizes).astype(str)
    held = []
    for _ in range(300):
        of_group = generator.beta(*ends, len(sizes))
        found = share_of_groups(generator.binomial(1, np.repeat(of_group, sizes)), groups)
        held.append(found.low <= share <= found.high)
    assert np.mean(held) > 0.93


@pytest.mark.parametrize("call", [lambda: cohen_kappa(["a"], []), lambda: share_of_groups([], [])])
def test_nothing_to_compare_is_refused(call):
    with pytest.raises(CohortError, match="at least"):
        call()
