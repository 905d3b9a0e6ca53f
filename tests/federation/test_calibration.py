"""Federated calibration equals that of all rows together."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.metrics.recalibration import recalibration
from histofed.errors import CohortError
from histofed.federation.calibration import (
    CalibrationSite,
    LogisticSums,
    Question,
    Reliability,
    recalibrate,
)
from histofed.federation.score_histograms import ScoreHistogram

rows_of = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0, 1), st.integers(0, 2)), min_size=1, max_size=40
)


def split(labels, probabilities, sites):
    return [(labels[sites == site], probabilities[sites == site]) for site in np.unique(sites)]


def over(sites: list[CalibrationSite]):
    def ask(question: Question) -> LogisticSums:
        return reduce(add, (site.answer(question) for site in sites))

    return recalibrate(reduce(add, (site.sums() for site in sites)), ask)


def drawn(seed: int, n: int = 90):
    random = np.random.default_rng(seed)
    probabilities = random.beta(1.2, 1.5, size=n)
    labels = (random.random(n) < probabilities**1.5).astype(int)
    return labels, probabilities, random.integers(0, 3, size=n)


@pytest.mark.parametrize("seed", range(5))
def test_slope_and_intercept_are_those_of_all_rows(seed):
    labels, probabilities, sites = drawn(seed)
    found = over([CalibrationSite(*each) for each in split(labels, probabilities, sites)])
    expected = recalibration(labels, probabilities)
    for name in ("slope", "intercept"):
        for end in ("value", "low", "high"):
            ours, theirs = getattr(getattr(found, name), end), getattr(getattr(expected, name), end)
            assert ours == pytest.approx(theirs, abs=1e-8)


def test_certain_probabilities_are_taken_as_the_core_takes_them():
    labels, probabilities, sites = drawn(7)
    probabilities[:2], labels[:2] = (0.0, 1.0), (1, 0)
    found = over([CalibrationSite(*each) for each in split(labels, probabilities, sites)])
    assert found.slope.value == pytest.approx(recalibration(labels, probabilities).slope.value)


@pytest.mark.parametrize(
    ("labels", "probabilities", "reason"),
    [
        ([1, 1, 1], [0.2, 0.5, 0.7], "3 of 3 patients are positive"),
        ([0, 1, 1], [0.4, 0.4, 0.4], "no slope through one point"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], "separate the classes"),
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], "separate the classes"),
    ],
)
def test_what_has_no_finite_fit_is_refused(labels, probabilities, reason):
    sites = [CalibrationSite(labels[::2], probabilities[::2])]
    sites.append(CalibrationSite(labels[1::2], probabilities[1::2]))
    with pytest.raises(CohortError, match=reason):
        over(sites)


@given(rows_of, st.integers(1, 30))
def test_reliability_has_every_group_in_the_bin_of_its_mean(rows, n_bins):
    labels, probabilities, _ = (np.array(column) for column in zip(*rows, strict=True))
    groups = [
        ScoreHistogram.of(labels[part], probabilities[part], fewest=1)
        for part in np.array_split(np.arange(len(labels)), min(3, len(labels)))
    ]
    found = Reliability.of(groups, n_bins=n_bins)
    assert sum(each.n for each in found.bins()) == len(labels)
    assert found.positive_B.sum() == labels.sum()
    assert found.predicted_B.sum() == pytest.approx(probabilities.sum())
    assert 0 <= found.ece() <= 1


def test_expected_calibration_error_by_hand():
    """Two bins: (0.2, 0.4) with one positive, and (0.9) with none."""
    groups = [ScoreHistogram.of([0, 1, 0], [0.2, 0.4, 0.9], fewest=1)]
    found = Reliability.of(groups, n_bins=2)
    assert found.ece() == pytest.approx((abs(1 - 0.6) + 0.9) / 3)
    assert [each.predicted for each in found.bins()] == pytest.approx([0.3, 0.9])
    assert found.bins()[0].observed.value == 0.5


def test_a_question_whose_answer_is_one_patients_log_odds_is_told_apart():
    log_odds_P = np.array([-2.0, -1.5, -0.8, -0.3, 0.4, 1.2, 1.9, 2.5])
    site = CalibrationSite(log_odds_P > 0, 1 / (1 + np.exp(-log_odds_P)))
    steep = Question(np.array([100.0, 0.0]), 1.15)
    told = site.answer(steep).information_KK
    assert 1.15 + told[0, 1] / told[1, 1] == pytest.approx(1.2)  # the attack
    assert site.tells_few(steep, fewest=5)
    assert not site.tells_few(steep, fewest=1)
    # Far from everybody, where the weights are too small for a float, they still are of one.
    assert site.tells_few(Question(np.array([100.0, 0.0]), 1e4), fewest=5)
    for honest in (Question(np.array([0.0, 0.0]), 0.2), Question(np.array([0.7, -0.1]), 0.2)):
        assert not site.tells_few(honest, fewest=5)
    assert not site.tells_few(Question(np.array([0.3]), 0.2), fewest=5)
