"""Metrics against scikit-learn, against hand-worked numbers, and against their own properties."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from histofed.core import metrics
from histofed.core.metrics import Interval, auprc, auroc, bootstrap, bootstrap_mean, brier, ece
from histofed.errors import CohortError


@st.composite
def cohorts(draw):
    """Labels of both classes and probabilities from a coarse grid, so that ties are common."""
    n = draw(st.integers(2, 40))
    labels = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    assume(0 < labels.sum() < n)
    steps = draw(st.sampled_from([1, 4, 1000]))
    numbers = draw(st.lists(st.integers(0, steps), min_size=n, max_size=n))
    return labels, np.array(numbers) / steps


def simulated(seed: int, n: int = 60, shift: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return labels, 1 / (1 + np.exp(-(generator.normal(size=n) + shift * (labels - 0.5))))


@given(cohorts())
def test_rank_metrics_equal_scikit_learn(cohort):
    labels, probabilities = cohort
    assert auroc(labels, probabilities) == pytest.approx(
        roc_auc_score(labels, probabilities), abs=1e-12
    )
    assert auprc(labels, probabilities) == pytest.approx(
        average_precision_score(labels, probabilities), abs=1e-12
    )
    assert brier(labels, probabilities) == pytest.approx(
        brier_score_loss(labels, probabilities), abs=1e-12
    )


@given(cohorts())
def test_rank_metrics_know_only_the_order(cohort):
    labels, probabilities = cohort
    stretched = np.exp(3 * probabilities) - 7
    assert auroc(labels, stretched) == pytest.approx(auroc(labels, probabilities), abs=1e-12)
    assert auprc(labels, stretched) == pytest.approx(auprc(labels, probabilities), abs=1e-12)
    assert auroc(labels, -probabilities) == pytest.approx(
        1 - auroc(labels, probabilities), abs=1e-12
    )


@given(cohorts(), st.randoms(use_true_random=False))
def test_the_order_of_the_table_changes_nothing(cohort, random):
    labels, probabilities = cohort
    order = list(range(len(labels)))
    random.shuffle(order)
    for metric in (auroc, auprc, brier, ece):
        assert metric(labels[order], probabilities[order]) == pytest.approx(
            metric(labels, probabilities), abs=1e-12
        )


@given(cohorts())
def test_curves_hold_the_areas(cohort):
    labels, probabilities = cohort
    roc = metrics.roc_curve(labels, probabilities)
    assert np.trapezoid(roc.y_T, roc.x_T) == pytest.approx(auroc(labels, probabilities), abs=1e-12)
    assert (roc.x_T[0], roc.y_T[0], roc.x_T[-1], roc.y_T[-1]) == (0, 0, 1, 1)
    pr = metrics.pr_curve(labels, probabilities)
    steps = np.sum(np.diff(pr.x_T) * pr.y_T[1:])
    assert steps == pytest.approx(auprc(labels, probabilities), abs=1e-12)
    for point in range(1, len(roc.x_T)):
        called = probabilities >= roc.thresholds_T[point]
        assert roc.y_T[point] == pytest.approx(called[labels == 1].mean())
        assert pr.y_T[point] == pytest.approx(labels[called].mean())


def test_a_tie_counts_one_half():
    # Pairs (0.9 > 0.5), (0.9 > 0.1), (0.5 = 0.5), (0.5 > 0.1): 3.5 of 4.
    assert auroc([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1]) == 0.875


@given(cohorts(), st.integers(1, 12))
def test_calibration_bins_share_out_every_patient_once(cohort, n_bins):
    labels, probabilities = cohort
    bins = metrics.calibration_bins(labels, probabilities, n_bins=n_bins)
    assert sum(each.n for each in bins) == len(labels)
    assert sum(each.n * each.observed.value for each in bins) == pytest.approx(labels.sum())
    assert sum(each.n * each.predicted for each in bins) == pytest.approx(probabilities.sum())
    assert all(left.predicted < right.predicted for left, right in pairwise(bins))
    for each in bins:
        assert 0 <= each.observed.low <= each.observed.value <= each.observed.high <= 1


def test_bins_without_ties_have_equal_mass():
    labels, probabilities = simulated(0, n=60)
    sizes = [each.n for each in metrics.calibration_bins(labels, probabilities, n_bins=5)]
    assert sizes == [12] * 5


def test_ece_by_hand():
    # Bins {0.1, 0.1} observed 0.5 and {0.9, 0.9} observed 1: (2 * 0.4 + 2 * 0.1) / 4.
    assert ece([0, 1, 1, 1], [0.1, 0.1, 0.9, 0.9], n_bins=2) == pytest.approx(0.25)


def test_wilson_equals_the_published_interval():
    # Newcombe 1998, table I: 81 of 263 and 0 of 20.
    found = metrics.wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    found = metrics.wilson(0, 20)
    assert (found.low, round(found.high, 4)) == (0.0, 0.1611)


@given(cohorts(), st.sampled_from([auroc, auprc, brier, ece]))
def test_the_interval_holds_the_value_and_the_seed_decides(cohort, metric):
    labels, probabilities = cohort
    first = bootstrap(metric, labels, probabilities, n_resamples=50, seed=3)
    assert first.low <= first.value <= first.high
    assert first.value == pytest.approx(metric(labels, probabilities))
    assert first == bootstrap(metric, labels, probabilities, n_resamples=50, seed=3)


@pytest.mark.parametrize("metric", [auroc, auprc, brier])
def test_all_resamples_at_once_equals_one_by_one(metric):
    labels, probabilities = simulated(1)
    probabilities = probabilities.round(1)
    slow = bootstrap(lambda y, p: metric(y, p), labels, probabilities, n_resamples=100)
    fast = bootstrap(metric, labels, probabilities, n_resamples=100)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=1e-12)


def test_two_thousand_resamples_are_quick():
    labels, probabilities = simulated(2)
    start = time.process_time()
    bootstrap(auroc, labels, probabilities)
    assert time.process_time() - start < 0.3


def test_the_interval_covers_the_truth():
    # Binormal scores whose truth is Phi(shift / sqrt 2); 95% nominal, small-sample slack.
    shift, truth = 1.5, 0.85558
    found = [
        bootstrap(auroc, *simulated(seed, shift=shift), n_resamples=300) for seed in range(200)
    ]
    covered = np.mean([each.low <= truth <= each.high for each in found])
    assert 0.88 <= covered <= 0.99


def test_a_large_cohort_is_resampled_in_blocks(monkeypatch):
    monkeypatch.setattr("histofed.core.metrics.resampling.CELLS_AT_ONCE", 60 * 7)
    labels, probabilities = simulated(4)
    interval = bootstrap(auroc, labels, probabilities, n_resamples=200)
    assert interval.low < interval.value < interval.high


def test_the_mean_of_arms_is_drawn_on_the_same_patients():
    labels, first = simulated(5)
    one = bootstrap(auroc, labels, first, n_resamples=200)
    # Two copies of one model are as uncertain as one: independent draws would say less.
    assert bootstrap_mean(auroc, labels, [first, first], n_resamples=200) == one
    second = simulated(6)[1]
    both = bootstrap_mean(auroc, labels, [first, second], n_resamples=200)
    assert both.value == pytest.approx((auroc(labels, first) + auroc(labels, second)) / 2)


def test_the_roc_band_holds_the_curve_and_narrows_with_level():
    labels, probabilities = simulated(7)
    fpr, low, high = metrics.roc_band(labels, probabilities, n_resamples=300)
    curve = metrics.roc_curve(labels, probabilities)
    inside = np.interp(fpr, curve.x_T, curve.y_T)
    assert ((low <= inside) & (inside <= high)).mean() > 0.95
    assert (high[-1], low[-1]) == (1, 1)
    _, low_half, high_half = metrics.roc_band(labels, probabilities, n_resamples=300, level=0.5)
    assert (low_half >= low).all()
    assert (high_half <= high).all()


@pytest.mark.parametrize(
    "function", [auroc, auprc, metrics.roc_curve, metrics.pr_curve, metrics.roc_band]
)
def test_one_class_is_refused_by_name(function):
    with pytest.raises(CohortError, match="all 3 patients have label 1"):
        function([1, 1, 1], [0.1, 0.2, 0.3])


def test_one_class_has_a_brier_interval_but_no_auroc_interval():
    with pytest.raises(CohortError, match="label 0"):
        bootstrap(auroc, [0, 0], [0.1, 0.2])
    assert bootstrap(brier, [0, 0], [0.1, 0.2]).value == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [0.5], "same length"),
        ([], [], "at least 1"),
        ([0, 2], [0.1, 0.2], "found 2"),
        ([0, 1], [0.1, np.nan], "row 1: probability nan"),
        ([0, 1], [0.1, 1.5], "row 1: a probability lies in 0..1, found 1.5"),
    ],
)
def test_bad_tables_are_refused_by_name(labels, probabilities, message):
    with pytest.raises(CohortError, match=message):
        brier(labels, probabilities)


def test_the_mean_over_no_model_is_refused():
    with pytest.raises(CohortError, match="at least one"):
        bootstrap_mean(auroc, [0, 1], [])


def test_an_interval_reads_well():
    assert str(Interval(0.91234, 0.8, 1.0)) == "0.912 (0.800-1.000)"
