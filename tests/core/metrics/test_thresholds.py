from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from histofed.core.metrics.thresholds import (
    balanced_accuracy,
    decision_curve,
    net_benefit,
    operating_point,
    threshold_at_sensitivity,
    threshold_of_best_balance,
)
from histofed.errors import CohortError

both = st.tuples(
    st.lists(st.integers(0, 8), min_size=1, max_size=25),
    st.lists(st.integers(0, 8), min_size=1, max_size=25),
).map(
    lambda pair: (
        np.repeat([0, 1], [len(pair[0]), len(pair[1])]),
        np.array(pair[0] + pair[1]) / 8,
    )
)


@given(both, st.sampled_from([0.05, 0.5, 0.8, 0.9, 0.95, 1.0]))
def test_the_threshold_reaches_its_sensitivity_and_no_higher_one_does(cohort, target):
    labels, scores = cohort
    threshold = threshold_at_sensitivity(labels, scores, sensitivity=target)
    positive = scores[labels == 1]
    assert (positive >= threshold).mean() >= target - 1e-12
    assert (positive > threshold).mean() < target


def test_floating_point_does_not_ask_for_one_patient_more():
    # 0.56 * 25 is 14.000000000000002 in floating point.
    scores = np.arange(25) / 25
    assert threshold_at_sensitivity(np.ones(25), scores, sensitivity=0.56) == scores[25 - 14]


@given(both)
def test_the_best_balance_is_the_best_of_all_thresholds(cohort):
    labels, scores = cohort
    threshold = threshold_of_best_balance(labels, scores)
    found = balanced_accuracy(labels, scores, threshold=threshold)
    every = [balanced_accuracy(labels, scores, threshold=each) for each in np.unique(scores)]
    assert found == pytest.approx(max(every))


@given(both, st.sampled_from([0.0, 0.25, 0.6, 1.0]))
def test_an_operating_point_equals_scikit_learn(cohort, threshold):
    labels, scores = cohort
    point = operating_point(labels, scores, threshold=threshold)
    matrix = confusion_matrix(labels, scores >= threshold)
    assert (
        matrix.ravel()
        == [point.true_negative, point.false_positive, point.false_negative, point.true_positive]
    ).all()
    expected = balanced_accuracy_score(labels, scores >= threshold)
    assert point.balanced_accuracy == pytest.approx(expected)
    assert balanced_accuracy(labels, scores, threshold=threshold) == pytest.approx(expected)


def test_an_operating_point_by_hand():
    labels = [1, 1, 1, 0, 0, 0, 0, 0]
    point = operating_point(labels, [0.9, 0.8, 0.2, 0.7, 0.1, 0.1, 0.1, 0.1], threshold=0.5)
    assert point.sensitivity.value == pytest.approx(2 / 3)
    assert point.specificity.value == pytest.approx(4 / 5)
    assert point.ppv.value == pytest.approx(2 / 3)
    assert point.npv.value == pytest.approx(4 / 5)
    assert point.tests_saved == pytest.approx(5 / 8)
    assert point.npv.low < 0.8 < point.npv.high


def test_a_fraction_of_nobody_is_none():
    point = operating_point([0, 0], [0.1, 0.2], threshold=0.5)
    assert (point.sensitivity, point.ppv, point.balanced_accuracy) == (None, None, None)
    assert point.npv.value == 1


def test_net_benefit_by_hand():
    # At 0.2 a false positive costs a quarter: 2/8 - 1/8 * 1/4.
    labels, scores = [1, 1, 0, 0, 0, 0, 0, 1], [0.9, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]
    assert net_benefit(labels, scores, threshold=0.2) == pytest.approx(2 / 8 - 1 / 32)


@given(both, st.floats(0.01, 0.99))
def test_calling_everybody_has_everybodys_net_benefit_and_nobody_has_none(cohort, threshold):
    labels, _ = cohort
    curve = decision_curve(labels, np.ones(len(labels)), thresholds_T=[threshold])
    assert curve.model_T == pytest.approx(curve.everybody_T)
    prevalence = labels.mean()
    expected = prevalence - (1 - prevalence) * threshold / (1 - threshold)
    assert curve.everybody_T[0] == pytest.approx(expected)
    assert net_benefit(labels, np.zeros(len(labels)), threshold=threshold) == 0


@given(both)
def test_a_decision_curve_counts_like_the_operating_points(cohort):
    labels, scores = cohort
    curve = decision_curve(labels, scores, thresholds_T=[0.125, 0.5, 0.9])
    for threshold, benefit in zip(curve.thresholds_T, curve.model_T, strict=True):
        point = operating_point(labels, scores, threshold=threshold)
        cost = point.false_positive * threshold / (1 - threshold)
        assert benefit == pytest.approx((point.true_positive - cost) / len(labels))


def test_impossible_thresholds_are_refused():
    with pytest.raises(CohortError, match="none of 2 patients is positive"):
        threshold_at_sensitivity([0, 0], [0.1, 0.2], sensitivity=0.9)
    with pytest.raises(CohortError, match=r"target sensitivity lies in \(0, 1\], found 95"):
        threshold_at_sensitivity([0, 1], [0.1, 0.2], sensitivity=95)
    with pytest.raises(CohortError, match=r"threshold probability lies in \(0, 1\), found 1"):
        net_benefit([0, 1], [0.1, 0.2], threshold=1.0)
