from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from histofed.core.metrics import auroc, bootstrap
from histofed.core.metrics.comparison import (
    benjamini_hochberg,
    delong,
    delong_paired,
    permutation_test,
)
from histofed.core.metrics.resampling import bootstrap_difference
from histofed.errors import CohortError


def two_models(seed: int, n: int = 120, shifts=(1.2, 0.8)) -> tuple[np.ndarray, ...]:
    """Return labels and the scores of two models whose errors are correlated; some ties."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(n) % 3 == 0).astype(int)
    common = generator.normal(size=n)
    scores = [
        np.round(0.7 * common + 0.7 * generator.normal(size=n) + s * labels, 1) for s in shifts
    ]
    return labels, *scores


def by_definition(labels: np.ndarray, *models: np.ndarray) -> np.ndarray:
    """Return the covariance of DeLong et al. 1988 from all pairs, as the paper writes it."""
    v10, v01 = [], []
    for scores in models:
        positive, negative = scores[labels == 1], scores[labels == 0]
        pairs = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
        v10.append(pairs.mean(axis=1))
        v01.append(pairs.mean(axis=0))
    return np.cov(v10) / len(v10[0]) + np.cov(v01) / len(v01[0])


@given(st.integers(0, 10_000), st.integers(10, 40))
def test_the_fast_form_equals_the_definition(seed, n):
    labels, first, second = two_models(seed, n)
    covariance = by_definition(labels, first, second)
    found = delong_paired(labels, first, second)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    half = norm.ppf(0.975) * np.sqrt(variance)
    assert found.interval.value == pytest.approx(auroc(labels, first) - auroc(labels, second))
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(half, abs=1e-9)
    one = delong(labels, first, level=0.5)
    inside = norm.ppf(0.75) * np.sqrt(covariance[0, 0])
    assert one.high == pytest.approx(min(1, auroc(labels, first) + inside), abs=1e-9)


def test_delong_by_hand():
    # Positives 3, 1; negatives 2, 0. Placements 1, 1/2 and 1/2, 1: variances 1/8 of 2 each.
    found = delong([1, 1, 0, 0], [3, 1, 2, 0], level=0.5)
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - 0.67448975 * np.sqrt(1 / 16 + 1 / 16))


@pytest.mark.parametrize("seed", range(3))
def test_delong_agrees_with_the_bootstrap(seed):
    labels, first, second = two_models(seed, 400)
    for fast, slow in (
        (delong(labels, first), bootstrap(auroc, labels, first)),
        (
            delong_paired(labels, first, second).interval,
            bootstrap_difference(auroc, labels, first, second),
        ),
    ):
        assert fast.value == pytest.approx(slow.value)
        assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.012)


def test_pairing_is_what_makes_the_difference_sure():
    labels, first, second = two_models(7, 400)
    paired = delong_paired(labels, first, second).interval
    apart = [delong(labels, each) for each in (first, second)]
    unpaired = np.hypot(*(each.high - each.low for each in apart))
    assert paired.high - paired.low < 0.8 * unpaired


def test_the_p_value_is_uniform_under_no_difference():
    p_values = [delong_paired(*two_models(seed, 200, shifts=(1, 1))).p_value for seed in range(300)]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.09
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


def test_a_model_does_not_differ_from_itself_and_swapping_changes_the_sign():
    labels, first, second = two_models(3)
    same = delong_paired(labels, first, first)
    assert (same.interval.value, same.p_value) == (0, 1)
    one, other = delong_paired(labels, first, second), delong_paired(labels, second, first)
    assert one.interval.value == pytest.approx(-other.interval.value)
    assert one.p_value == pytest.approx(other.p_value)


def test_what_delong_cannot_tell_is_refused():
    with pytest.raises(CohortError, match=r"1 positive and 3 negative patients"):
        delong([1, 0, 0, 0], [1, 2, 3, 4])
    with pytest.raises(CohortError, match=r"AUROC 1\.000 and 0\.000: neither"):
        delong_paired([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1])
    point = delong([0, 0, 1, 1], [1, 2, 3, 4])
    assert (point.low, point.high) == (1, 1)


def test_benjamini_hochberg_equals_the_paper():
    # Benjamini & Hochberg 1995, section 3.2: at 0.05, four of these fifteen are rejected.
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
    p_values += [0.4262, 0.5719, 0.6528, 0.7590, 1.0000]
    adjusted = benjamini_hochberg(p_values)
    assert (adjusted <= 0.05).sum() == 4
    assert adjusted[3] == pytest.approx(0.0095 * 15 / 4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_follow_the_step_up_rule(p_values):
    adjusted = benjamini_hochberg(p_values)
    ordered = np.sort(p_values)
    for q in (0.01, 0.05, 0.2):
        passed = np.flatnonzero(ordered <= q * np.arange(1, len(p_values) + 1) / len(p_values))
        n_rejected = passed[-1] + 1 if len(passed) else 0
        assert (
            (adjusted <= q * (1 - 1e-9)).sum() <= n_rejected <= (adjusted <= q * (1 + 1e-9)).sum()
        )


@pytest.mark.parametrize("p_values", [[], [0.2, np.nan], [1.2]])
def test_p_values_that_are_none_are_refused(p_values):
    with pytest.raises(CohortError, match=r"p-values lie in 0\.\.1"):
        benjamini_hochberg(p_values)


def test_labels_permuted_are_chance():
    labels, first, _ = two_models(0)
    found = permutation_test(labels, first, n_permutations=200)
    assert found.p_value == pytest.approx(1 / 201)
    assert found.chance == pytest.approx(0.5, abs=0.02)
    noise = np.random.default_rng(1).random(len(labels))
    assert permutation_test(labels, noise, n_permutations=200).p_value > 0.01
    assert found == permutation_test(labels, first, n_permutations=200)


def test_a_model_that_knows_the_site_only_is_chance_within_sites():
    site = np.repeat([0, 1], 50)
    labels = np.concatenate([np.arange(50) % 5 == 0, np.arange(50) % 5 != 0]).astype(int)
    scores = site + 0.01 * np.random.default_rng(0).random(100)
    assert permutation_test(labels, scores, n_permutations=200).p_value < 0.01
    assert permutation_test(labels, scores, within_P=site, n_permutations=200).p_value > 0.05
