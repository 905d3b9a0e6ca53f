from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from histofed.errors import ConfigError
from histofed.federation.messages import SiteUpdate
from histofed.federation.strategies.krum import Krum


def by_hand(sent_SD: np.ndarray, wild: int, keep: int) -> np.ndarray:
    n = len(sent_SD)
    scores = []
    for i in range(n):
        apart = sorted(((sent_SD[i] - sent_SD[j]) ** 2).sum() for j in range(n) if j != i)
        scores.append(sum(apart[: n - wild - 2]))
    return sent_SD[np.argsort(scores, kind="stable")[:keep]].mean(0)


@given(
    n=st.integers(5, 11), wild=st.integers(0, 3), keep=st.integers(1, 4), seed=st.integers(0, 10**6)
)
def test_equation_by_hand(n, wild, keep, seed):
    strategy = Krum(wild=wild, keep=keep)
    if n < strategy.fewest:
        return
    sent_SD = np.random.default_rng(seed).normal(size=(n, 6))
    updates = [
        SiteUpdate(
            site=f"s{index:02d}",
            round=1,
            # Two tensors: a distance is over the whole update.
            state={"v": torch.from_numpy(row[:2]), "w": torch.from_numpy(row[2:])},
            n_patients=1,
        )
        for index, row in enumerate(sent_SD)
    ]
    new = strategy.aggregate(updates[0].state, updates, {}).state
    found = np.concatenate([new["v"], new["w"]])
    np.testing.assert_allclose(found, by_hand(sent_SD, wild, keep), rtol=1e-9)


def test_small_distances_between_large_models_are_seen():
    """By a matrix product they would drown: the squares are 1e16, the distances 1e-8."""
    values = [1e8, 1e8 + 1e-4, 1e8 + 3e-4, 1e8 + 1e-3, 1e8 + 2e-3]
    updates = [
        SiteUpdate(
            site=str(index),
            round=1,
            state={"w": torch.full((1,), value, dtype=torch.float64)},
            n_patients=1,
        )
        for index, value in enumerate(values)
    ]
    new = Krum(wild=1).aggregate(updates[0].state, updates, {}).state
    assert new["w"].item() == values[1]


def test_the_counters_are_those_of_the_model_that_is_kept():
    updates = [
        SiteUpdate(
            site=site,
            round=1,
            state={"w": torch.tensor([value]), "count": torch.tensor(count)},
            n_patients=1,
        )
        for count, (site, value) in enumerate(
            zip("abcde", (9.0, 1.0, 1.1, 1.2, 4.0), strict=True), start=10
        )
    ]
    new = Krum(wild=1).aggregate(updates[0].state, updates, {}).state
    assert (new["w"].item(), new["count"].item()) == (pytest.approx(1.1), 12)


def test_impossible_options_are_refused():
    with pytest.raises(ConfigError, match=r"strategy\.wild must be at least 0, got -1"):
        Krum(wild=-1)
    with pytest.raises(ConfigError, match=r"strategy\.keep must be at least 1, got 0"):
        Krum(keep=0)
    assert (Krum().fewest, Krum(wild=2).fewest, Krum(keep=6).fewest) == (5, 7, 9)
