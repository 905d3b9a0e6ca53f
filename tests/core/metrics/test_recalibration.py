from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from histofed.core.metrics.recalibration import recalibration, temperature
from histofed.errors import CohortError


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels drawn from true log odds, and those log odds."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-0.5, 1.5, n)
    return (generator.random(n) < sigmoid(logits)).astype(int), logits


def test_true_probabilities_have_slope_1_and_intercept_0():
    labels, logits = drawn(20_000, 0)
    found = recalibration(labels, sigmoid(logits))
    assert found.slope.low < 1 < found.slope.high
    assert found.intercept.low < 0 < found.intercept.high
    assert found.slope.high - found.slope.low < 0.1


@given(st.floats(0.3, 3.0), st.floats(-2, 2))
def test_slope_and_intercept_undo_a_distortion(stretch, shift):
    labels, logits = drawn(300, 1)
    straight = recalibration(labels, sigmoid(logits))
    found = recalibration(labels, sigmoid(stretch * logits))
    assert found.slope.value == pytest.approx(straight.slope.value / stretch, rel=1e-4)
    moved = recalibration(labels, sigmoid(logits + shift))
    assert moved.intercept.value == pytest.approx(straight.intercept.value - shift, abs=1e-5)


def test_the_fit_equals_scikit_learn():
    labels, logits = drawn(200, 2)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits[:, None], labels)
    found = recalibration(labels, sigmoid(logits))
    assert found.slope.value == pytest.approx(model.coef_[0, 0], rel=1e-5)


def test_the_intercept_by_hand():
    # Everybody at 0.5 or nearly so, 3 of 4 positive: the shift is log(3).
    found = recalibration([1, 1, 1, 0], [0.5, 0.5 + 1e-9, 0.5 - 1e-9, 0.5])
    assert found.intercept.value == pytest.approx(np.log(3), abs=1e-6)
    # Its information is n p (1 - p) = 4 * 3/16.
    half = (found.intercept.high - found.intercept.low) / 2
    assert half == pytest.approx(1.959964 / np.sqrt(0.75), rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], "separate the classes .label 0: 0.1 to 0.2"),
        ([0, 0, 1, 1], [0.1, 0.3, 0.3, 0.4], "separate the classes"),
        ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], "separate the classes"),
        ([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3], "every patient has the probability 0.3"),
        ([1, 1], [0.2, 0.4], "all 2 patients have label 1"),
        ([0, 1], [0.2, 1.4], "found 1.4"),
    ],
)
def test_a_fit_that_does_not_exist_is_refused_by_name(labels, probabilities, message):
    with pytest.raises(CohortError, match=message):
        recalibration(labels, probabilities)


def test_a_saturated_sigmoid_does_not_break_the_fit():
    found = recalibration([0, 1, 0, 1, 1, 0], [0.0, 1.0, 1.0, 0.5, 0.7, 0.6])
    assert np.isfinite([found.slope.low, found.slope.high, found.intercept.value]).all()


@given(st.floats(0.2, 5.0))
def test_temperature_undoes_a_scale(scale):
    labels, logits = drawn(400, 3)
    two = np.stack([np.zeros_like(logits), logits], axis=1)
    plain = temperature(labels, two)
    assert temperature(labels, scale * two) == pytest.approx(scale * plain, rel=1e-6)


def test_temperature_is_the_minimum_and_near_1_for_true_probabilities():
    generator = np.random.default_rng(4)
    logits = generator.normal(0, 2, (3000, 3))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    found = temperature(labels, logits)
    assert found == pytest.approx(1, abs=0.1)

    def loss(t: float) -> float:
        scaled = logits / t
        normaliser = np.log(np.exp(scaled).sum(axis=1))
        return float((normaliser - scaled[np.arange(len(labels)), labels]).sum())

    assert loss(found) < min(loss(found * 1.01), loss(found / 1.01))


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([0, 1], [[2, 0], [0, 2]], "all 2 patients are classified rightly"),
        ([1, 0], [[2, 0], [0, 2]], "no more than chance"),
        ([0, 2], [[2, 0], [0, 2]], "label 2 is none of the 2 classes"),
        ([0, 1], [[2, 0], [np.inf, 2]], "row 1: score inf"),
    ],
)
def test_no_best_temperature_is_refused_by_name(labels, logits, message):
    with pytest.raises(CohortError, match=message):
        temperature(labels, logits)


def test_logits_that_cancel_but_for_rounding_have_no_temperature():
    odds = np.log(np.linspace(0.1, 0.9, 8)) - np.log1p(-np.linspace(0.1, 0.9, 8))
    with pytest.raises(CohortError, match="no more than chance"):
        temperature(np.ones(8), np.stack([np.zeros(8), odds], axis=1))
