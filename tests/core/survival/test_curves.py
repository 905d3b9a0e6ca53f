"""Curves, hazard ratios and refusals, against published tables and definitions.

The remission data are those of Freireich et al. 1963, used by Cox 1972 and in most textbooks:
weeks of remission of 21 patients on 6-mercaptopurine and 21 on placebo.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from histofed.core.survival.concordance import harrell_c
from histofed.core.survival.cox import hazard_ratio
from histofed.core.survival.kaplan_meier import kaplan_meier, log_rank
from histofed.core.survival.times import check_events
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
