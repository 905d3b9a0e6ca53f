"""Survival statistics against published tables and against their definitions, pair by pair.

The remission data are those of Freireich et al. 1963, used by Cox 1972 and in most textbooks:
weeks of remission of 21 patients on 6-mercaptopurine and 21 on placebo.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from histofed.core.metrics.resampling import bootstrap_rows
from histofed.core.survival.accuracy import brier_over_time, dynamic_auc
from histofed.core.survival.concordance import harrell_c, uno_c
from histofed.core.survival.cox import hazard_ratio
from histofed.core.survival.kaplan_meier import kaplan_meier, log_rank
from histofed.core.survival.times import censoring_curve, check_events
from histofed.errors import CohortError

TREATED = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
WEEKS = np.array(TREATED + PLACEBO)
EVENTS = np.array(RELAPSED + [1] * 21)
ON_PLACEBO = np.repeat([0, 1], 21)


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


# --- Kaplan-Meier and log-rank ---


def test_kaplan_meier_equals_the_published_table():
    found = kaplan_meier(TREATED, RELAPSED)
    had_events = found.events_T > 0
    assert found.times_T[had_events].tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert found.at_risk_T[had_events].tolist() == [21, 17, 15, 12, 11, 7, 6]
    survival = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    errors = [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]
    assert found.survival_T[had_events].round(3).tolist() == survival
    assert found.error_T[had_events].round(4).tolist() == errors
    # The interval of survival at 23 weeks on the log(-log) scale (Collett, R's survfit).
    assert found.low_T[-1].round(3) == 0.188
    assert found.high_T[-1].round(3) == 0.680
    assert found.median == 23
    assert kaplan_meier(PLACEBO, np.ones(21)).median == 8
    assert found.n_at_risk([0, 6, 6.5, 10, 20, 35, 36]).tolist() == [21, 21, 17, 15, 8, 1, 0]
    assert found.at([0, 5.9, 6, 40]).round(3).tolist() == [1, 1, 0.857, 0.448]


@given(tables())
def test_without_censoring_survival_is_the_fraction_alive(table):
    times, _, _ = table
    found = kaplan_meier(times, np.ones(len(times)))
    for at in range(10):
        assert found.at(at) == pytest.approx((times > at).mean())
    alive = found.survival_T > 0
    binomial = np.sqrt(found.survival_T * (1 - found.survival_T) / len(times))
    assert found.error_T[alive] == pytest.approx(binomial[alive])
    assert np.isnan(found.low_T[~alive]).all()


@given(tables())
def test_the_interval_holds_the_curve_and_the_numbers_add_up(table):
    times, events, _ = table
    found = kaplan_meier(times, events)
    assert (np.diff(found.survival_T) <= 0).all()
    alive = found.survival_T > 0
    assert (found.low_T[alive] <= found.survival_T[alive]).all()
    assert (found.survival_T[alive] <= found.high_T[alive]).all()
    assert found.events_T.sum() == events.sum()
    assert (found.at_risk_T - found.events_T - found.censored_T)[:-1].tolist() == list(
        found.at_risk_T[1:]
    )


def test_a_median_that_is_not_reached_is_infinite():
    assert kaplan_meier([1, 2, 3, 4], [1, 0, 0, 0]).median == np.inf
    assert kaplan_meier([1, 2, 3, 4], [1, 1, 0, 0]).median == 2


def test_nobody_had_an_event_yet():
    found = kaplan_meier([3, 5], [0, 0])
    assert found.at([0, 4, 9]).tolist() == [1, 1, 1]
    assert (found.low_T.tolist(), found.median) == ([1, 1], np.inf)


def test_log_rank_equals_the_published_test():
    found = log_rank(WEEKS, EVENTS, ON_PLACEBO)
    assert round(found.chi_squared, 2) == 16.79
    assert found.observed_G.tolist() == [9, 21]
    assert found.expected_G.round(2).tolist() == [19.25, 10.75]
    assert found.p_value == pytest.approx(4.17e-5, rel=0.01)


@given(tables(least=6))
@settings(max_examples=40)
def test_log_rank_of_three_groups_knows_no_names_and_two_equal_ones_are_alike(table):
    times, events, _ = table
    groups = np.arange(len(times)) % 3
    try:
        found = log_rank(times, events, groups)
    except CohortError:  # all at risk had the event at once, or were of one group
        reject()
    renamed = np.array(["c", "a", "b"])[groups]
    other = log_rank(times, events, renamed)
    assert other.chi_squared == pytest.approx(found.chi_squared, abs=1e-8)
    assert found.observed_G.sum() == pytest.approx(found.expected_G.sum()) == events.sum()
    twice = log_rank(np.tile(times, 2), np.tile(events, 2), np.repeat([0, 1], len(times)))
    assert twice.chi_squared == pytest.approx(0, abs=1e-9)


def test_log_rank_is_right_under_no_difference():
    p_values = []
    for seed in range(200):
        times, events, _ = simulated(seed, 90)
        p_values.append(log_rank(times, events, np.arange(90) % 3).p_value)
    assert np.mean(np.array(p_values) < 0.05) < 0.1
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.07)


# --- Concordance ---


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


# --- Accuracy over time ---


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


# --- Cox ---


def test_the_hazard_ratio_equals_the_published_fit():
    # Efron's approximation on the remission data: 1.572 with standard error 0.412.
    found = hazard_ratio(WEEKS, EVENTS, ON_PLACEBO)
    assert found.sd == pytest.approx(ON_PLACEBO.std(ddof=1))
    assert found.log_ratio / found.sd == pytest.approx(1.572, abs=5e-4)
    assert found.standard_error / found.sd == pytest.approx(0.412, abs=5e-4)
    assert found.ratio.value == pytest.approx(np.exp(found.log_ratio))


@given(tables(least=4))
def test_the_fit_is_the_maximum_of_efrons_likelihood(table):
    times, events, x = table

    def loss(beta: float) -> float:
        total = 0.0
        for t in np.unique(times[events == 1]):
            tied = x[(times == t) & (events == 1)]
            at_risk = np.exp(beta * x[times >= t]).sum()
            for number in range(len(tied)):
                total += np.log(at_risk - number / len(tied) * np.exp(beta * tied).sum())
            total -= beta * tied.sum()
        return total

    try:
        found = hazard_ratio(times, events, x)
    except CohortError as error:
        # It falls for ever in one direction, or x says nothing.
        constant = "covariate of all" in str(error)
        assert constant or min(loss(40), loss(-40)) < min(loss(b) for b in (-2, 0, 2)) + 1e-9
        return
    beta = found.log_ratio / found.sd
    best = minimize_scalar(loss, bracket=(beta - 1, beta + 1), tol=1e-10)
    assert loss(beta) <= best.fun + 1e-7
    step = 1e-3
    curvature = (loss(beta + step) - 2 * loss(beta) + loss(beta - step)) / step**2
    assert (found.sd / found.standard_error) ** 2 == pytest.approx(curvature, rel=1e-2, abs=1e-4)


def test_the_interval_covers_the_true_hazard_ratio():
    covered = []
    for seed in range(150):
        times, events, risks = simulated(seed, 150, effect=0.7)
        found = hazard_ratio(times, events, risks)
        covered.append(found.ratio.low <= np.exp(0.7 * found.sd) <= found.ratio.high)
    assert 0.89 <= np.mean(covered) <= 0.99


def test_the_unit_of_the_covariate_changes_nothing():
    times, events, risks = simulated(6)
    found, other = hazard_ratio(times, events, risks), hazard_ratio(times, events, 100 * risks - 5)
    assert other.ratio.value == pytest.approx(found.ratio.value)
    assert other.p_value == pytest.approx(found.p_value)
    z = found.log_ratio / found.standard_error
    assert found.p_value == pytest.approx(2 * norm.sf(abs(z)))


@pytest.mark.parametrize(
    ("times", "events", "covariate", "message"),
    [
        ([1, 2, 3, 4], [1, 1, 1, 0], [4, 3, 2, 1], "3 events the patient had the highest"),
        ([1, 2, 3, 4], [1, 1, 1, 0], [1, 2, 3, 4], "3 events the patient had the lowest"),
        ([1, 2, 3, 4], [1, 1, 1, 0], [2, 2, 2, 2], "covariate of all 4 patients is 2"),
    ],
)
def test_a_ratio_that_is_infinite_is_refused_by_name(times, events, covariate, message):
    with pytest.raises(CohortError, match=message):
        hazard_ratio(times, events, covariate)


def test_an_outlier_that_hides_the_others_is_refused():
    times, events, risks = simulated(7, 40)
    covariate = 1e-3 * risks
    times[0], events[0], covariate[0] = 0, 0, 1e3  # lost before the first event
    with pytest.raises(CohortError, match=r"outlier, 6\.2 standard deviations out"):
        hazard_ratio(times, events, covariate)


# --- Bad tables ---


@pytest.mark.parametrize(
    ("times", "events", "message"),
    [
        ([1, 2], [0, 0], "none of 2 patients had an event"),
        ([1, -2], [1, 0], "row 1: time -2 is not a time since"),
        ([1, np.nan], [1, 0], "row 1: time nan"),
        ([1, 2], [1, 2], "row 1: event is 2"),
        ([1, 2], [1], "same length"),
    ],
)
def test_bad_tables_are_refused_by_name(times, events, message):
    with pytest.raises(CohortError, match=message):
        harrell_c(times, events, times)
    with pytest.raises(CohortError, match=r"fold 2 .P7, P9.: .*" + message):
        check_events(["P7", "P9"], times, events, group="fold 2")


def test_risks_and_groups_that_do_not_fit_are_refused():
    with pytest.raises(CohortError, match="row 2: risk inf"):
        harrell_c([1, 2, 3], [1, 1, 0], [1, 2, np.inf])
    with pytest.raises(CohortError, match="one risk per patient: 3 patients"):
        harrell_c([1, 2, 3], [1, 1, 0], [1, 2])
    with pytest.raises(CohortError, match="all 2 patients are in group a"):
        log_rank([1, 2], [1, 1], ["a", "a"])
    with pytest.raises(CohortError, match="groups a, b under observation together"):
        log_rank([1, 2], [0, 1], ["a", "b"])
