"""Decisions and temperatures are fixed on the selection patients of each fold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from histofed.core.evaluation.base import Resampling
from histofed.core.evaluation.binary import METRICS, BinaryMeasures
from histofed.core.evaluation.picked import Picked
from histofed.core.metrics import brier, ece
from histofed.core.metrics.comparison import delong
from histofed.core.metrics.recalibration import recalibration

HOW = Resampling(200, 0)


@pytest.fixture
def study(rows_of):
    """Two folds whose models speak on different scales: the second says a quarter as much."""
    generator = np.random.default_rng(2)
    folds = np.repeat([0, 1], 60)

    def speak(labels):
        odds = generator.normal(1.5 * (2 * labels - 1), 1.5)
        return 1 / (1 + np.exp(-odds)) * np.where(folds == 1, 0.25, 1.0)

    labels, others = generator.integers(0, 2, 120), generator.integers(0, 2, 120)
    tested = rows_of(labels, speak(labels), folds=folds)
    return tested, rows_of(others, speak(others), folds=folds)


def counts(labels, called):
    return [int(((labels == c) & (called == d)).sum()) for c, d in ((1, 1), (0, 1), (0, 0), (1, 0))]


def test_each_patient_is_called_at_the_threshold_of_its_own_fold(study):
    rows, picked = study
    decision = BinaryMeasures().details(rows, Picked(picked), HOW, sensitivity=0.9).decision
    called = np.zeros(120, dtype=bool)
    for fold in (0, 1):
        here, tested = picked.folds_P == fold, rows.folds_P == fold
        positive = np.sort(picked.output_P[here & (picked.label_P == 1)])
        # The highest threshold at which nine tenths of the positive selection patients are called.
        fine = [t for t in positive if (positive >= t).mean() >= 0.9]
        assert decision.thresholds[fold] == max(fine)
        called[tested] = rows.output_P[tested] >= max(fine)
    tp, fp, tn, fn = counts(rows.label_P, called)
    assert (decision.true_positive, decision.false_positive) == (tp, fp)
    assert (decision.true_negative, decision.false_negative) == (tn, fn)
    assert decision.sensitivity.value == pytest.approx(tp / (tp + fn))
    assert decision.specificity.value == pytest.approx(tn / (tn + fp))
    assert decision.ppv.value == pytest.approx(tp / (tp + fp))
    assert decision.npv.value == pytest.approx(tn / (tn + fn))
    assert decision.tests_saved == pytest.approx((tn + fn) / 120)
    balanced = decision.balanced_accuracy
    assert balanced.value == pytest.approx((tp / (tp + fn) + tn / (tn + fp)) / 2)
    assert balanced.low < balanced.value < balanced.high
    assert "sensitivity of at least 0.9" in decision.rule


def test_without_a_target_the_selection_patients_are_balanced_best(study):
    rows, picked = study
    decision = BinaryMeasures().details(rows, Picked(picked), HOW, sensitivity=None).decision
    for fold, threshold in decision.thresholds.items():
        here = picked.take(picked.folds_P == fold)

        def balance(t, here=here):
            called = here.output_P >= t
            return called[here.label_P == 1].mean() - called[here.label_P == 0].mean()

        assert balance(threshold) == pytest.approx(max(map(balance, here.output_P)))


def test_the_tested_patients_do_not_move_their_threshold(study):
    rows, picked = study
    before = BinaryMeasures().details(rows, Picked(picked), HOW, sensitivity=None)
    other = rows.take(np.arange(0, 120, 2))
    after = BinaryMeasures().details(other, Picked(picked), HOW, sensitivity=None)
    assert before.decision.thresholds == after.decision.thresholds
    assert before.temperatures == after.temperatures


def test_temperatures_are_the_most_likely_of_the_selection_patients(study):
    rows, picked = study
    details = BinaryMeasures().details(rows, Picked(picked), HOW, sensitivity=None)
    logit = np.log(rows.output_P) - np.log1p(-rows.output_P)
    cooled = np.empty(120)
    for fold, found in details.temperatures.items():
        here = picked.take(picked.folds_P == fold)
        odds = np.log(here.output_P) - np.log1p(-here.output_P)

        def unlikely(log_t, odds=odds, labels=here.label_P):
            signed = odds * (2 * labels - 1) / np.exp(log_t)
            return np.logaddexp(0, -signed).sum()

        best = minimize_scalar(unlikely, bounds=(-3, 3), method="bounded").x
        assert np.log(found) == pytest.approx(best, abs=1e-4)
        cooled[rows.folds_P == fold] = 1 / (1 + np.exp(-logit[rows.folds_P == fold] / found))
    assert details.after.brier == pytest.approx(brier(rows.label_P, cooled))
    assert details.after.ece == pytest.approx(ece(rows.label_P, cooled))
    assert details.before.ece == ece(rows.label_P, rows.output_P)
    assert details.before.slope == recalibration(rows.label_P, rows.output_P).slope
    assert details.after.slope.value == pytest.approx(
        recalibration(rows.label_P, cooled).slope.value, rel=1e-6
    )


def test_prevalence_delong_and_net_benefit(study):
    rows, picked = study
    details = BinaryMeasures().details(rows, Picked(picked), HOW, sensitivity=None)
    assert details.prevalence == rows.label_P.mean()
    assert details.delong == delong(rows.label_P, rows.output_P, within_P=rows.folds_P)
    curve = details.net_benefit
    at = 4  # a probability of one quarter: three treated in vain outweigh one rightly
    assert curve.thresholds_T[at] == 0.25
    called = rows.output_P >= 0.25
    right, vain = (called & (rows.label_P == 1)).sum(), (called & (rows.label_P == 0)).sum()
    assert curve.model_T[at] == pytest.approx((right - vain / 3) / 120)
    assert details.reasons == {}


def test_an_arm_that_picks_nothing_has_no_threshold_and_says_why(study):
    rows, _ = study
    details = BinaryMeasures().details(rows, None, HOW, sensitivity=None)
    assert details.decision is None
    assert details.after is None
    assert "picks no checkpoint" in details.reasons["decision"]
    assert details.before.brier == pytest.approx(brier(rows.label_P, rows.output_P))


def test_a_fold_whose_selection_patients_are_of_one_class_is_named(study):
    rows, picked = study
    one = picked.take((picked.folds_P == 0) | (picked.label_P == 1))
    details = BinaryMeasures().details(rows, Picked(one), HOW, sensitivity=None)
    assert "fold 1:" in details.reasons["decision"]
    nobody = picked.take(picked.folds_P == 0)
    details = BinaryMeasures().details(rows, Picked(nobody), HOW, sensitivity=None)
    assert "fold 1: there are none" in details.reasons["decision"]


def test_one_class_only_is_told_not_raised(rows_of):
    rows = rows_of(np.ones(8), np.linspace(0.1, 0.9, 8))
    details = BinaryMeasures().details(rows, Picked(rows), HOW, sensitivity=None)
    assert set(details.reasons) == {"delong", "decision", "after"}
    assert details.before.slope is None
    assert "label 1" in details.before.reason
    result = BinaryMeasures().result(rows, HOW)
    assert result.numbers["auroc"] is None
    assert result.counts == {"n_patients": 8, "n_positive": 8}


def test_resamples_at_once_are_the_definition(study, each_draw):
    rows = study[0].take(np.arange(30))
    counts_RP = np.random.default_rng(0).integers(0, 3, (5, 30))
    counts_RP[:, 0] = 30 - np.delete(counts_RP, 0, axis=1).sum(axis=1).clip(max=30)
    for metric in METRICS[:2]:
        each_draw(metric, rows, counts_RP)
