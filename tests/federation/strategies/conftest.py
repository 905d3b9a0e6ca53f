"""Rounds of one number per site, as numpy would write them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histofed.federation.messages import SiteUpdate

if TYPE_CHECKING:
    from histofed.federation.strategies.base import Strategy

SIZES = {"a": 5, "b": 30, "c": 12, "d": 20, "e": 1}


def make_rounds(n: int, *, seed: int = 0, length: int = 7) -> np.ndarray:
    """Return what each site sends in each round, ``(rounds, sites, length)``."""
    return np.random.default_rng(seed).normal(size=(n, len(SIZES), length))


def make_updates(values_SD: np.ndarray, controls_SD: np.ndarray | None = None) -> list[SiteUpdate]:
    return [
        SiteUpdate(
            site=site,
            round=1,
            state={"w": torch.from_numpy(values_SD[index])},
            n_patients=n,
            controls={} if controls_SD is None else {"w": torch.from_numpy(controls_SD[index])},
        )
        for index, (site, n) in enumerate(SIZES.items())
    ]


def play(strategy: Strategy, rounds_RSD: np.ndarray) -> np.ndarray:
    """Return the global model after each round, from zero, ``(rounds, length)``."""
    state = {"w": torch.zeros(rounds_RSD.shape[2], dtype=torch.float64)}
    memory = strategy.start(state, trainable=["w"], sites=list(SIZES))
    found = []
    for values_SD in rounds_RSD:
        state, memory = strategy.aggregate(state, make_updates(values_SD), memory)
        found.append(state["w"].numpy())
    return np.array(found)


@pytest.fixture
def numbers() -> SimpleNamespace:
    n_patients = np.array(list(SIZES.values()), dtype=float)
    return SimpleNamespace(
        rounds=make_rounds,
        updates=make_updates,
        play=play,
        shares=n_patients / n_patients.sum(),
        sites=list(SIZES),
    )
