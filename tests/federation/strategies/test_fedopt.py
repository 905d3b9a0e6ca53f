from __future__ import annotations

import numpy as np
import pytest
import torch

from histofed.errors import ConfigError
from histofed.federation.strategies.fedopt import FedAdagrad, FedAdam, FedYogi

OPTIONS = {"learning_rate": 0.3, "beta1": 0.8, "tau": 0.05}


@pytest.mark.parametrize(
    ("strategy", "second"),
    [
        (FedAdagrad(**OPTIONS), lambda v, d: v + d**2),
        (FedAdam(beta2=0.95, **OPTIONS), lambda v, d: 0.95 * v + 0.05 * d**2),
        (FedYogi(beta2=0.95, **OPTIONS), lambda v, d: v - 0.05 * d**2 * np.sign(v - d**2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_equation_by_hand(numbers, strategy, second):
    rounds = numbers.rounds(6)
    x, m, v, expected = np.zeros(7), np.zeros(7), np.full(7, 0.05**2), []
    for sent in rounds:
        d = numbers.shares @ sent - x
        m = 0.8 * m + 0.2 * d
        v = second(v, d)
        x = x + 0.3 * m / (np.sqrt(v) + 0.05)
        expected.append(x)
    np.testing.assert_allclose(numbers.play(strategy, rounds), expected, rtol=1e-10)


def test_adagrad_has_no_momentum_unless_asked():
    assert FedAdagrad().beta1 == 0


@pytest.mark.parametrize("kind", [FedAdagrad, FedAdam, FedYogi])
def test_half_precision_weights_keep_their_moments_in_32_bits(kind):
    state = {"w": torch.zeros(3, dtype=torch.float16)}
    memory = kind().start(state, trainable=["w"])
    assert {value.dtype for value in memory.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"learning_rate": 0}, "learning_rate must be a positive number, got 0"),
        ({"tau": float("inf")}, "tau must be a positive number"),
        ({"beta1": 1}, "beta1 must be at least 0 and below 1"),
        ({"beta2": -1}, "beta2 must be at least 0 and below 1"),
        ({"weighting": "votes"}, "weighting must be one of patients, equal, sqrt"),
    ],
)
def test_impossible_options_are_refused(options, match):
    with pytest.raises(ConfigError, match=f"strategy.{match}"):
        FedAdam(**options)
