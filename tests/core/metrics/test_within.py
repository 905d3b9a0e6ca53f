"""Metrics over pairs of patients that share a value, e.g. the fold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, pearsonr, spearmanr, t

from histofed.core.metrics import auprc, auroc, roc_band, roc_curve
from histofed.core.metrics.comparison import delong, delong_paired, rank_sum_p
from histofed.core.metrics.discrimination import roc_within
from histofed.core.metrics.groups import stratified_auroc
from histofed.core.metrics.panel import panel_auroc
from histofed.core.metrics.ranks import auroc_R
from histofed.core.metrics.regression import no_correlation_p, pearson, spearman
from histofed.core.metrics.resampling import bootstrap_auroc, resamples
from histofed.errors import CohortError


def some_folds(seed, n=40, n_folds=4):
    """Return labels, tied scores and folds of which the first has both classes."""
    generator = np.random.default_rng(seed)
    labels = np.array([0, 1, *generator.integers(0, 2, n - 2)])
    folds = np.array([0, 0, *generator.integers(0, n_folds, n - 2)])
    return labels, np.round(generator.normal(labels, 1.0) + folds, 1), folds


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_pairs_of_one_fold_are_counted_and_no_others(seed):
    labels, scores, folds = some_folds(seed)
    right = pairs = 0.0
    for i in np.flatnonzero(labels == 1):
        for j in np.flatnonzero((labels == 0) & (folds == folds[i])):
            right += (scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j])
            pairs += 1
    assert auroc(labels, scores, within_P=folds) == pytest.approx(right / pairs)
    assert delong(labels, scores, within_P=folds).value == pytest.approx(right / pairs)
    assert bootstrap_auroc(labels, scores, within_P=folds, n_resamples=5).value == pytest.approx(
        right / pairs
    )


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_the_area_under_the_mean_curve_is_the_auroc(seed):
    labels, scores, folds = some_folds(seed)
    fpr, tpr = roc_within(labels, scores, folds)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert (np.diff(fpr) >= 0).all()
    assert (np.diff(tpr) >= -1e-12).all()
    assert np.trapezoid(tpr, fpr) == pytest.approx(auroc(labels, scores, within_P=folds))


def test_the_mean_curve_of_one_fold_is_its_curve():
    labels, scores, _ = some_folds(0)
    fpr, tpr = roc_within(labels, scores, np.zeros(40))
    curve = roc_curve(labels, scores)
    np.testing.assert_allclose(
        np.interp(curve.x_T, fpr, tpr), np.interp(curve.x_T, *curve_of(curve))
    )
    band, of_one_fold = (
        roc_band(labels, scores, within_P=within, n_resamples=50) for within in (None, np.zeros(40))
    )
    np.testing.assert_allclose(band, of_one_fold)


def curve_of(curve):
    return curve.x_T, curve.y_T


def test_the_band_is_around_the_mean_curve():
    labels, scores, folds = some_folds(1, n=300)
    grid, low, high = roc_band(labels, scores, within_P=folds, n_resamples=200)
    tpr = np.interp(grid, *roc_within(labels, scores, folds))
    assert (low <= tpr + 1e-9).mean() > 0.95
    assert (tpr <= high + 1e-9).mean() > 0.95
    pooled_low = roc_band(labels, scores, n_resamples=200)[1]
    assert low.mean() > pooled_low.mean()  # folds have intercepts


@pytest.mark.parametrize("seed", range(3))
def test_delong_within_folds_agrees_with_the_bootstrap(seed):
    labels, scores, folds = some_folds(seed, n=400)
    other = scores + np.random.default_rng(seed).normal(size=400)
    fast = delong(labels, scores, within_P=folds)
    slow = bootstrap_auroc(labels, scores, within_P=folds)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.012)
    paired = delong_paired(labels, scores, other, within_P=folds)
    areas = [auroc(labels, each, within_P=folds) for each in (scores, other)]
    assert paired.interval.value == pytest.approx(areas[0] - areas[1])
    (counts,) = resamples(labels, 2000, 0)
    ours, theirs = (auroc_R(labels, each, counts, folds) for each in (scores, other))
    low, high = np.quantile(ours - theirs, [0.025, 0.975])
    assert (paired.interval.low, paired.interval.high) == pytest.approx((low, high), abs=0.012)


def test_delong_is_told_of_many_folds_with_one_positive_patient_each():
    labels, folds = np.tile([1, 0, 0, 0], 12), np.repeat(np.arange(12), 4)
    scores = np.random.default_rng(0).normal(labels, 1.0)
    found = delong(labels, scores, within_P=folds)
    slow = bootstrap_auroc(labels, scores, within_P=folds)
    assert found.high - found.low == pytest.approx(slow.high - slow.low, rel=0.25)
    with pytest.raises(CohortError, match="1 positive and 4 negative"):
        delong([1, 0, 0, 0, 0, 1], [5, 1, 2, 6, 7, 3], within_P=[0, 0, 0, 0, 0, 1])


@pytest.mark.parametrize("n_folds", [1, 4])
def test_the_rank_sum_test_is_uniform_where_there_is_nothing(n_folds):
    generator = np.random.default_rng(1)
    folds = np.arange(40) % n_folds
    p_values = []
    for _ in range(400):
        labels = generator.permutation(np.arange(40) % 3 == 0).astype(int)
        # Models that say less where there is more.
        shift = np.array([-labels[folds == fold].mean() for fold in folds])
        scores = np.round(3 * shift * (n_folds > 1) + generator.normal(size=40), 1)
        p_values.append(rank_sum_p(labels, scores, within_P=folds))
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.08


def test_the_rank_sum_test_of_one_part_is_that_of_mann_and_whitney():
    labels, scores, _ = some_folds(3)
    expected = mannwhitneyu(scores[labels == 1], scores[labels == 0], alternative="greater").pvalue
    assert rank_sum_p(labels, scores) == pytest.approx(expected)
    # Twice the same part: twice the statistic and the variance; the correction only once.
    twice = [np.concatenate([each, each]) for each in (labels, scores)]
    found = rank_sum_p(*twice, within_P=np.repeat([0, 1], 40))
    assert found < expected
    assert rank_sum_p([0, 1, 0, 1], np.ones(4), within_P=[0, 0, 1, 1]) == 1
    with pytest.raises(CohortError, match="only patients of one fold"):
        rank_sum_p([0, 1], [0.1, 0.2], within_P=[0, 1])


def test_average_precision_of_few_patients_is_above_the_prevalence_by_chance():
    generator = np.random.default_rng(0)
    labels = np.arange(10) == 0
    found = np.mean([auprc(labels, generator.random(10)) for _ in range(2000)])
    assert found == pytest.approx(np.mean(1 / np.arange(1, 11)), abs=0.02)  # 0.29, not 0.1


def test_a_panel_and_a_confounder_are_asked_within_folds():
    labels, scores, folds = some_folds(5, n=120)
    (question,) = panel_auroc(
        labels[:, None], scores[:, None], ["TP53"], within_P=folds, n_resamples=20
    )
    assert question.auroc.value == pytest.approx(auroc(labels, scores, within_P=folds))
    assert question.p_value == rank_sum_p(labels, scores, within_P=folds)
    alone = np.arange(120)
    (question,) = panel_auroc(
        labels[:, None], scores[:, None], ["TP53"], within_P=alone, n_resamples=20
    )
    assert (question.auroc, question.p_value) == (None, None)
    assert "only patients of one fold" in question.reason
    scanner = np.arange(120) % 2
    found = stratified_auroc(labels, scores, scanner, within_P=folds, n_resamples=20)
    assert found.crude.value == pytest.approx(auroc(labels, scores, within_P=folds))
    both = 10 * folds + scanner
    assert found.within.value == pytest.approx(auroc(labels, scores, within_P=both))
    for number, each in enumerate(found.strata):
        here = scanner == number
        expected = auroc(labels[here], scores[here], within_P=folds[here])
        assert each.interval.value == pytest.approx(expected)


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_correlation_within_folds_is_the_partial_one(seed):
    generator = np.random.default_rng(seed)
    folds = np.array([0, 0, 0, *generator.integers(0, 4, 27)])
    truth = generator.normal(size=30)
    predicted = 0.4 * truth + generator.normal(size=30) - 2 * folds
    dummies = (folds[:, None] == np.unique(folds)).astype(float)
    apart = [
        each - dummies @ np.linalg.lstsq(dummies, each, rcond=None)[0]
        for each in (truth, predicted)
    ]
    expected = pearsonr(*apart)[0]
    assert pearson(truth, predicted, within_P=folds) == pytest.approx(expected)
    # The test of the slope in a regression that also has an intercept for each fold.
    design = np.column_stack([truth, dummies])
    beta, (squares,), rank, _ = np.linalg.lstsq(design, predicted, rcond=None)
    free = 30 - rank
    error = np.sqrt(squares / free * np.linalg.inv(design.T @ design)[0, 0])
    assert no_correlation_p(truth, predicted, within_P=folds) == pytest.approx(
        t.sf(beta[0] / error, free)
    )


def test_rank_correlation_within_folds_is_the_mean_of_the_folds():
    generator = np.random.default_rng(0)
    folds = np.repeat([0, 1, 2], 20)
    truth, predicted = generator.normal(size=60), generator.normal(size=60)
    of_folds = [spearmanr(truth[folds == f], predicted[folds == f])[0] for f in range(3)]
    found = spearman(truth, predicted, within_P=folds)
    assert found == pytest.approx(np.mean(of_folds))
    assert spearman(truth, predicted + 100 * folds, within_P=folds) == pytest.approx(found)
    assert spearman(truth, predicted) == pytest.approx(spearmanr(truth, predicted)[0])


def test_the_p_value_of_no_folds_is_that_of_scipy():
    generator = np.random.default_rng(2)
    truth, predicted = generator.normal(size=(2, 15))
    expected = pearsonr(truth, predicted, alternative="greater").pvalue
    assert no_correlation_p(truth, predicted) == pytest.approx(expected)
    assert no_correlation_p(truth, truth) == pytest.approx(0)
    assert no_correlation_p(truth, -truth) == pytest.approx(1)
    assert no_correlation_p(truth[:2], predicted[:2]) is None
    assert no_correlation_p(truth, np.ones(15)) is None
