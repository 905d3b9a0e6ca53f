"""Against the penalised partial likelihood, written as loops over events and those at risk."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from histofed.core.survival import ridge_cox as module
from histofed.core.survival.cox import hazard_ratio
from histofed.core.survival.ridge_cox import ridge_cox
from histofed.errors import CohortError


def patients(seed: int, n: int = 25, n_covariates: int = 3):
    """Return times with ties, events, and covariates of different scales."""
    random = np.random.default_rng(seed)
    covariates = random.normal(size=(n, n_covariates)) * [1, 20, 0.05][:n_covariates] + 3
    times = np.ceil(random.exponential(np.exp(3 - covariates[:, 0])) * 2) + 1
    events = random.random(n) < 0.7
    events[:2] = True
    return times, events, covariates


def penalised_loss(weights, times, events, covariates, penalty: float) -> float:
    standard = (covariates - covariates.mean(axis=0)) / covariates.std(axis=0)
    risk = standard @ weights
    total = 0.0
    for i in np.flatnonzero(events):
        at_risk = [math.exp(risk[j]) for j in range(len(times)) if times[j] >= times[i]]
        total += math.log(sum(at_risk)) - risk[i]
    return total / events.sum() + penalty / 2 * sum(weights**2)


@pytest.mark.parametrize("penalty", [0.01, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_no_other_weights_are_more_likely(seed, penalty):
    times, events, covariates = patients(seed)
    found = ridge_cox(times, events, covariates, penalty=penalty).weights_D
    best = minimize(
        penalised_loss,
        np.zeros(3),
        args=(times, events, covariates, penalty),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 4000},
    )
    assert found == pytest.approx(best.x, abs=1e-5)


def test_the_slope_is_zero_there():
    times, events, covariates = patients(7)
    found = ridge_cox(times, events, covariates, penalty=0.3).weights_D
    for step in 1e-5 * np.eye(3):
        up, down = (
            penalised_loss(found + sign * step, times, events, covariates, 0.3) for sign in (1, -1)
        )
        assert (up - down) / 2e-5 == pytest.approx(0, abs=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_patients_does_not_matter(seed, random):
    times, events, covariates = patients(seed)
    order = list(range(len(times)))
    random.shuffle(order)
    straight = ridge_cox(times, events, covariates, penalty=0.5)
    shuffled = ridge_cox(times[order], events[order], covariates[order], penalty=0.5)
    assert shuffled.weights_D == pytest.approx(straight.weights_D, abs=1e-6)


def test_units_of_covariates_do_not_matter():
    times, events, covariates = patients(1)
    months = ridge_cox(times, events, covariates, penalty=0.5)
    days = ridge_cox(30 * times, events, 1000 * covariates - 7, penalty=0.5)
    assert days.risk(1000 * covariates - 7) == pytest.approx(months.risk(covariates), abs=1e-6)


def test_with_hardly_a_penalty_it_is_the_model_of_one_covariate():
    times, events, covariates = patients(2, n=60, n_covariates=1)
    times = times + 0.001 * np.arange(60)  # no ties, which the other model treats otherwise
    found = ridge_cox(times, events, covariates, penalty=1e-8)
    alone = hazard_ratio(times, events, covariates[:, 0])
    sample_sd = covariates.std(ddof=1) / covariates.std()
    assert found.weights_D[0] * sample_sd == pytest.approx(alone.log_ratio, rel=1e-4)


def test_more_penalty_is_smaller_weights_and_the_mean_patient_has_risk_zero():
    times, events, covariates = patients(3)
    small, large = (ridge_cox(times, events, covariates, penalty=p) for p in (0.1, 10))
    assert np.linalg.norm(large.weights_D) < np.linalg.norm(small.weights_D) / 3
    assert small.risk(covariates.mean(axis=0)[None]) == pytest.approx(0)


def test_more_covariates_than_patients_and_one_that_never_changes():
    times, events, _ = patients(4)
    covariates = np.random.default_rng(0).normal(size=(len(times), 200))
    covariates[:, 5] = 0.1
    found = ridge_cox(times, events, covariates, penalty=1.0)
    assert found.weights_D[5] == pytest.approx(0, abs=1e-12)
    assert np.isfinite(found.risk(covariates)).all()


@pytest.mark.parametrize(
    ("events", "covariates", "said"),
    [
        ([0, 0, 0], [[1.0], [2.0], [3.0]], "none of 3 patients had an event"),
        ([1, 0, 1], [[1.0], [2.0]], "one row of covariates per patient: 3 patients"),
        ([1, 0, 1], [1.0, 2.0, 3.0], "one row of covariates per patient: 3 patients"),
        ([1, 0, 1], [[1.0], [math.nan], [3.0]], "covariate"),
    ],
)
def test_what_cannot_be_fitted_is_refused(events, covariates, said):
    with pytest.raises(CohortError, match=said):
        ridge_cox([3.0, 1.0, 2.0], events, covariates, penalty=1.0)


def test_no_penalty_is_refused():
    with pytest.raises(ValueError, match="penalty is 0; it must be above 0"):
        ridge_cox([3.0, 1.0], [1, 1], [[1.0], [2.0]], penalty=0)


def test_a_search_that_does_not_end_is_no_model(monkeypatch):
    monkeypatch.setattr(module, "MAX_STEPS", 1)
    times, events, covariates = patients(5)
    with pytest.raises(CohortError, match=r"has not settled .* raise the penalty from 0\.001"):
        ridge_cox(times, events, covariates, penalty=0.001)
