from __future__ import annotations

import numpy as np
import pytest
import torch

from histofed.errors import ConfigError
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.strategies.fedavgm import FedAvgM


def test_equation_by_hand(numbers):
    rounds = numbers.rounds(4)
    x, v, expected = np.zeros(7), np.zeros(7), []
    for sent in rounds:
        v = 0.7 * v + (numbers.shares @ sent - x)
        x = x + v
        expected.append(x)
    np.testing.assert_allclose(numbers.play(FedAvgM(momentum=0.7), rounds), expected, rtol=1e-12)


def test_without_momentum_and_in_the_first_round_it_is_fedavg(numbers):
    rounds = numbers.rounds(3)
    mean = numbers.play(FedAvg(), rounds)
    np.testing.assert_allclose(numbers.play(FedAvgM(momentum=0), rounds), mean, rtol=1e-12)
    np.testing.assert_allclose(numbers.play(FedAvgM(), rounds)[0], mean[0], rtol=1e-12)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_impossible_options_are_refused(momentum):
    with pytest.raises(ConfigError, match=r"strategy.momentum must be at least 0 and below 1, got"):
        FedAvgM(momentum=momentum)


def test_it_must_know_what_is_trained():
    state = {"w": torch.zeros(2), "count": torch.tensor(0)}
    with pytest.raises(ConfigError, match="FedAvgM must know which tensors are trained"):
        FedAvgM().start(state)
    with pytest.raises(ConfigError, match="'v' must be one of real numbers, found no such tensor"):
        FedAvgM().start(state, trainable=["v"])
    with pytest.raises(ConfigError, match=r"'count' must be .*, found torch.int64"):
        FedAvgM().start(state, trainable=["count"])
