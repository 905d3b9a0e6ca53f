"""Concordance and accuracy over time against their definitions, pair by pair."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.metrics.resampling import bootstrap_rows
from histofed.core.survival.accuracy import brier_over_time, dynamic_auc
from histofed.core.survival.concordance import harrell_c, uno_c
from histofed.core.survival.kaplan_meier import kaplan_meier
from histofed.core.survival.times import censoring_curve
from histofed.errors import CohortError


@st.composite
def tables(draw, least: int = 2):
    """Times, events and risks from coarse grids, so that ties of every kind are common."""
    n = draw(st.integers(least, 25))
    column = st.lists(st.integers(1, 8), min_size=n, max_size=n)
    times, risks = np.array(draw(column)), np.array(draw(column)) / 4
    events = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    events[draw(st.integers(0, n - 1))] = 1
    return times, events, risks


def simulated(seed: int, n: int = 200, effect: float = 1.0, censored: float = 0.5):
    generator = np.random.default_rng(seed)
    risks = generator.normal(size=n)
    event_times = generator.exponential(np.exp(-effect * risks))
    censor_times = generator.exponential(1 / censored, n)
    return np.minimum(event_times, censor_times), event_times <= censor_times, risks


def concordance_by_pairs(times, events, risks, weights):
    right = pairs = 0.0
    for i in range(len(times)):
        for j in range(len(times)):
            outlived = times[j] > times[i] or (times[j] == times[i] and not events[j])
            if events[i] and outlived:
                pairs += weights[i]
                right += weights[i] * ((risks[i] > risks[j]) + 0.5 * (risks[i] == risks[j]))
    return right / pairs if pairs else None


@given(tables())
def test_harrell_equals_its_definition(table):
    expected = concordance_by_pairs(*table, np.ones(len(table[0])))
    if expected is None:
        with pytest.raises(CohortError, match="no pair can be compared"):
            harrell_c(*table)
    else:
        assert harrell_c(*table) == pytest.approx(expected)
        times, events, risks = table
        assert harrell_c(times, events, -risks) == pytest.approx(1 - expected)
        assert harrell_c(times, events, np.exp(risks)) == pytest.approx(expected)


def censored_after(times, events, at):
    """Return the probability of being in sight just before ``at``, by a loop."""
    value = 1.0
    for t in np.unique(times[times < at]):
        lost = ((times == t) & (events == 0)).sum()
        staying = (times > t).sum() + lost
        if lost:
            value *= 1 - lost / staying
    return value


@given(tables(), st.integers(2, 9))
def test_uno_equals_its_definition(table, until):
    times, events, risks = table
    in_sight = np.array([censored_after(times, events, t) for t in times])
    weights = np.zeros(len(times))
    counted = (events == 1) & (times < until)
    weights[counted] = in_sight[counted] ** -2
    expected = concordance_by_pairs(times, events, risks, weights)
    if expected is None:
        with pytest.raises(CohortError, match="no pair can be compared"):
            uno_c(times, events, risks, until=until)
    else:
        assert uno_c(times, events, risks, until=until) == pytest.approx(expected)


def test_uno_does_not_move_with_the_censoring_where_harrell_does():
    n = 20_000
    times, _, risks = simulated(0, n, censored=1e-9)
    truth = harrell_c(times, np.ones(n), risks)
    lost = np.random.default_rng(1).exponential(0.7, n)
    seen, events = np.minimum(times, lost), times <= lost
    horizon = float(np.quantile(seen, 0.95))
    truth_until = uno_c(times, np.ones(n), risks, until=horizon)
    assert uno_c(seen, events, risks, until=horizon) == pytest.approx(truth_until, abs=0.006)
    assert abs(harrell_c(seen, events, risks) - truth) > 0.01


def test_without_censoring_uno_is_harrell():
    times, _, risks = simulated(2)
    assert uno_c(times, np.ones(200), risks) == pytest.approx(harrell_c(times, np.ones(200), risks))


def test_concordance_of_many_patients_is_quick():
    times, events, risks = simulated(3, 20_000)
    start = time.process_time()
    harrell_c(times, events, risks)
    assert time.process_time() - start < 0.5


def test_concordance_has_a_bootstrap_interval():
    table = simulated(4, 100)
    found = bootstrap_rows(harrell_c, *table, strata_P=table[1], n_resamples=200)
    assert 0.6 < found.low < found.value < found.high < 0.9


@given(tables(least=4))
def test_the_dynamic_auc_and_brier_score_equal_their_definitions(table):
    times, events, risks = table
    first, last = times[events == 1].min(), times.max()
    at = np.arange(first, last)
    if not len(at):
        return
    survival = np.stack([1 / (1 + np.exp(risks + 0.1 * t)) for t in at], axis=1)
    auc = dynamic_auc(times, events, risks, at_T=at)
    scores = brier_over_time(times, events, survival, at_T=at)
    for column, t in enumerate(at):
        cases = np.flatnonzero((times <= t) & (events == 1))
        beyond = np.flatnonzero(times > t)
        weight = {i: 1 / censored_after(times, events, times[i]) for i in cases}
        right = sum(
            weight[i] * ((risks[i] > risks[j]) + 0.5 * (risks[i] == risks[j]))
            for i in cases
            for j in beyond
        )
        expected = right / (sum(weight.values()) * len(beyond))
        assert auc.values_T[column] == pytest.approx(expected)
        error = sum(weight[i] * survival[i, column] ** 2 for i in cases)
        still = censored_after(times, events, t + 0.5)
        error += sum((1 - survival[j, column]) ** 2 / still for j in beyond)
        assert scores.values_T[column] == pytest.approx(error / len(times))


def test_a_coin_has_a_brier_score_of_a_quarter_and_the_truth_a_better_one():
    times, events, risks = simulated(5, 2000)
    at = np.linspace(0.1, 2, 20)
    coin = brier_over_time(times, events, np.full((2000, 20), 0.5), at_T=at)
    # The weights sum to the number of patients on average, not exactly.
    assert coin.mean == pytest.approx(0.25, abs=0.01)
    known = np.exp(-np.exp(risks)[:, None] * at)
    true = brier_over_time(times, events, known, at_T=at)
    average = np.tile(kaplan_meier(times, events).at(at), (2000, 1))
    assert true.mean < brier_over_time(times, events, average, at_T=at).mean < coin.mean
    one = brier_over_time(times, events, known[:, :1], at_T=at[:1])
    assert one.mean == true.values_T[0]


def test_the_mean_auc_weighs_by_events():
    # Three of five events by t=1 (AUC 1), two between 1 and 2 (AUC 1/2 by then).
    times, events = [1, 1, 1, 2, 2, 3], [1, 1, 1, 1, 1, 0]
    found = dynamic_auc(times, events, [9, 9, 9, 0, 1, 2], at_T=[1, 2])
    assert found.values_T == pytest.approx([1, 0.6])
    assert found.mean == pytest.approx((3 * 1 + 2 * 0.6) / 5)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ([2, 1], "rise strictly"),
        ([0.5], r"first event \(1\) to before the last .* \(4\), found 0.5 to 0.5"),
        ([2, 4], "found 2 to 4"),
    ],
)
def test_times_at_which_nothing_can_be_said_are_refused(at, message):
    with pytest.raises(CohortError, match=message):
        dynamic_auc([1, 2, 3, 4], [1, 0, 1, 0], [1, 2, 3, 4], at_T=at)


def test_predictions_of_another_shape_are_refused():
    with pytest.raises(CohortError, match=r"shape \(4,\); it is one row"):
        brier_over_time([1, 2, 3, 4], [1, 0, 1, 0], [1, 1, 0, 0], at_T=[2])
    with pytest.raises(CohortError, match="row 1"):
        brier_over_time([1, 2, 3, 4], [1, 0, 1, 0], [[1], [np.nan], [0], [0]], at_T=[2])


def test_the_censoring_curve_of_others_may_end_too_early():
    others = censoring_curve(np.array([1.0, 2.0]), np.array([True, False]))
    with pytest.raises(CohortError, match="nobody was followed up so long"):
        uno_c([1, 3, 4], [1, 1, 0], [3, 2, 1], censoring=others)
