"""A number, its interval, and the difference of two arms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histofed.core.evaluation.arms import against, against_chance, by_value
from histofed.core.evaluation.base import Metric, Resampling, attempt, interval
from histofed.core.evaluation.binary import METRICS, BinaryMeasures
from histofed.core.evaluation.regression import RegressionMeasures
from histofed.core.metrics import auprc, auroc, bootstrap, bootstrap_mean, brier
from histofed.core.metrics.comparison import delong_paired, permutation_test
from histofed.core.metrics.resampling import bootstrap_difference
from histofed.errors import CohortError

HOW = Resampling(300, 5)


@pytest.fixture
def arms(rows_of):
    generator = np.random.default_rng(1)
    labels = np.arange(40) % 2
    sites = np.array(["A", "B", "C", "C"])[np.arange(40) % 4]
    return [
        rows_of(labels, 1 / (1 + np.exp(-generator.normal(2 * labels - 1, spread))), sites=sites)
        for spread in (1.5, 3.0)
    ]


def test_intervals_are_those_of_the_bootstrap_of_labels_and_probabilities(arms):
    labels = arms[0].label_P
    result = BinaryMeasures().result(arms[0], HOW)
    mean = BinaryMeasures().mean_of(arms, HOW)
    for metric in (auroc, auprc, brier):
        expected = bootstrap(metric, labels, arms[0].output_P, n_resamples=300, seed=5)
        assert result.numbers[metric.__name__] == expected
        both = [rows.output_P for rows in arms]
        expected = bootstrap_mean(metric, labels, both, n_resamples=300, seed=5)
        assert mean.numbers[metric.__name__] == expected


def test_arms_are_compared_on_the_same_patients(arms):
    ours, theirs = arms
    found = against(BinaryMeasures(), ours, theirs, HOW, name="first")
    expected = delong_paired(ours.label_P, ours.output_P, theirs.output_P)
    assert found.reference == "first"
    assert found.numbers["auroc"].interval == expected.interval
    assert found.numbers["auroc"].p_value == expected.p_value
    expected = bootstrap_difference(
        brier, ours.label_P, ours.output_P, theirs.output_P, n_resamples=300, seed=5
    )
    assert found.numbers["brier"].interval == expected
    assert found.numbers["brier"].p_value is None


def test_an_arm_against_itself_differs_by_nothing(rows_of):
    rows = rows_of(np.arange(20.0), np.arange(20.0) % 7)
    found = against(RegressionMeasures(("x",)), rows, rows, HOW, name="same")
    for number in found.numbers.values():
        assert (number.interval.value, number.interval.low, number.interval.high) == (0, 0, 0)


def test_patients_of_one_class_have_a_reason_and_the_others_their_numbers(arms):
    labels = np.where(arms[0].sites_P == "A", 0.0, arms[0].labels_PK[:, 0])[:, None]
    found = by_value(BinaryMeasures(), replace(arms[0], labels_PK=labels), arms[0].sites_P, HOW)
    assert list(found) == ["A", "B", "C"]
    assert found["A"].counts == {"n_patients": 10, "n_positive": 0}
    assert found["A"].numbers["auroc"] is None
    assert "all 10 patients have label 0" in found["A"].reasons["auroc"]
    assert found["A"].numbers["brier"] is not None
    assert found["C"].numbers["auroc"] is not None
    assert found["C"].reasons == {}


def test_labels_are_shuffled_within_the_site(arms):
    rows = arms[0]
    found, reason = against_chance(BinaryMeasures(), rows, n_permutations=200, seed=3)
    expected = permutation_test(
        rows.label_P, rows.output_P, within_P=rows.sites_P, n_permutations=200, seed=3
    )
    assert (found, reason) == (expected, "")
    # Sites that decide the label: nothing can be shuffled, and nothing is shown.
    decided = replace(rows, labels_PK=(rows.sites_P == "C").astype(float)[:, None])
    found, _ = against_chance(BinaryMeasures(), decided, n_permutations=50, seed=0)
    assert found.p_value == 1


def test_undefined_resamples_are_left_out_until_they_are_most(rows_of):
    rows = rows_of(np.arange(10.0), np.arange(10.0))

    def metric(part: float) -> Metric:
        def draws(_, counts_RP):
            values = np.linspace(0, 1, len(counts_RP))
            return np.where(np.arange(len(values)) < part * len(values), np.nan, values)

        return Metric("x", "X", "", lambda _: 0.9, draws)

    found = interval(metric(0.4), [rows], np.zeros(10), HOW)
    assert (found.low, found.high) == pytest.approx((0.4, 1.0), abs=0.03)
    with pytest.raises(CohortError, match="X: only 120 of 300 resamples"):
        interval(metric(0.6), [rows], np.zeros(10), HOW)


def test_only_refusals_are_reasons():
    def refuse() -> float:
        raise CohortError("no")

    assert attempt(refuse) == (None, "no")
    assert attempt(lambda: 3) == (3, "")
    with pytest.raises(ZeroDivisionError):
        attempt(lambda: 1 // 0)


def test_the_first_metric_of_every_kind_has_a_chance():
    assert METRICS[0].chance == 0.5
