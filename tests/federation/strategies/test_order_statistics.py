from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histofed.errors import ConfigError
from histofed.federation.messages import SiteUpdate
from histofed.federation.strategies.order_statistics import CoordinateMedian, TrimmedMean


def updates_of(values_SD: np.ndarray) -> list[SiteUpdate]:
    return [
        SiteUpdate(
            site=f"s{index:03d}", round=1, state={"w": torch.from_numpy(row)}, n_patients=1 + index
        )
        for index, row in enumerate(values_SD)
    ]


def aggregated(strategy, values_SD: np.ndarray) -> np.ndarray:
    state = {"w": torch.zeros(values_SD.shape[1], dtype=torch.float64)}
    return strategy.aggregate(state, updates_of(values_SD), {}).state["w"].numpy()


SENT = st.integers(1, 9).flatmap(lambda n: arrays(float, (n, 3), elements=st.floats(-1e6, 1e6)))


@given(SENT)
def test_median_is_that_of_numpy(values_SD):
    np.testing.assert_allclose(aggregated(CoordinateMedian(), values_SD), np.median(values_SD, 0))


@given(SENT, st.integers(0, 3))
def test_trimmed_mean_is_that_of_the_sorted_rest(values_SD, trim):
    strategy = TrimmedMean(trim)
    if len(values_SD) < strategy.fewest:
        return
    rest = np.sort(values_SD, axis=0)[trim : len(values_SD) - trim]
    np.testing.assert_allclose(aggregated(strategy, values_SD), rest.mean(0), atol=1e-6)


@given(SENT, st.floats(-1e30, 1e30), st.data())
def test_a_minority_of_wild_sites_stays_within_the_range_of_the_others(values_SD, loud, data):
    n_wild = data.draw(st.integers(0, (len(values_SD) - 1) // 2))
    sent = np.concatenate([values_SD, np.full((0, 3), loud)])
    sent[:n_wild] = loud
    honest = sent[n_wild:]
    for strategy in (CoordinateMedian(), TrimmedMean(n_wild)):
        found = aggregated(strategy, sent)
        slack = 1e-9 * (1 + np.abs(honest).max())
        assert (found >= honest.min(0) - slack).all()
        assert (found <= honest.max(0) + slack).all()


def test_integers_and_flags_take_the_lower_median():
    updates = [
        SiteUpdate(
            site=site,
            round=1,
            state={"count": torch.tensor(count), "flag": torch.tensor([flag])},
            n_patients=n,
        )
        for site, count, flag, n in [("a", 9, True, 1), ("b", 4, True, 1), ("c", 10**6, False, 99)]
    ]
    new = CoordinateMedian().aggregate(updates[0].state, updates, {}).state
    assert (new["count"].item(), new["flag"].tolist()) == (9, [True])
    two = CoordinateMedian().aggregate(updates[0].state, updates[1:], {}).state
    assert (two["count"].item(), two["flag"].tolist()) == (4, [False])


def test_a_negative_trim_is_refused():
    with pytest.raises(ConfigError, match=r"strategy\.trim must be at least 0, got -1"):
        TrimmedMean(-1)
