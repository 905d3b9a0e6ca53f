from __future__ import annotations

import numpy as np
import pytest
import torch

from histofed.errors import ConfigError
from histofed.federation.strategies.scaffold import Scaffold


@pytest.mark.parametrize("learning_rate", [1.0, 0.4])
def test_equation_by_hand(numbers, learning_rate):
    strategy = Scaffold("equal", learning_rate=learning_rate)
    sent, changes = numbers.rounds(4), numbers.rounds(4, seed=1)
    x, c = np.zeros(7), np.zeros(7)
    state = {"w": torch.zeros(7, dtype=torch.float64)}
    memory = strategy.start(state, trainable=["w"], sites=numbers.sites)
    for values_SD, controls_SD in zip(sent, changes, strict=True):
        updates = numbers.updates(values_SD, controls_SD)
        state, memory = strategy.aggregate(state, updates, memory)
        x = x + learning_rate * np.mean(values_SD - x, axis=0)
        c = c + np.mean(controls_SD, axis=0)
        np.testing.assert_allclose(state["w"], x, rtol=1e-12)
        np.testing.assert_allclose(strategy.controls(memory)["w"], c, rtol=1e-12)


def test_absent_sites_slow_the_controls_down(numbers):
    """An absent site counts as one that has not changed."""
    strategy = Scaffold("equal")
    state = {"w": torch.zeros(7, dtype=torch.float64)}
    memory = strategy.start(state, trainable=["w"], sites=numbers.sites)
    changes = numbers.rounds(1, seed=1)[0]
    updates = numbers.updates(numbers.rounds(1)[0], changes)[:2]
    memory = strategy.aggregate(state, updates, memory).memory
    np.testing.assert_allclose(strategy.controls(memory)["w"], changes[:2].sum(0) / 5, rtol=1e-12)


def test_controls_are_weighted_as_the_models_are(numbers):
    state = {"w": torch.zeros(7, dtype=torch.float64)}
    memory = Scaffold().start(state, trainable=["w"], sites=numbers.sites)
    changes = numbers.rounds(1, seed=1)[0]
    updates = numbers.updates(numbers.rounds(1)[0], changes)
    memory = Scaffold().aggregate(state, updates, memory).memory
    found = Scaffold().controls(memory)["w"]
    np.testing.assert_allclose(found, numbers.shares @ changes, rtol=1e-12)


def test_impossible_options_are_refused():
    with pytest.raises(ConfigError, match="learning_rate must be a positive number, got -1"):
        Scaffold(learning_rate=-1)
    with pytest.raises(ConfigError, match="Scaffold must know which tensors are trained"):
        Scaffold().start({"w": torch.zeros(1)})
