from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from histofed.errors import ConfigError, FederationError
from histofed.federation.messages import SiteUpdate
from histofed.federation.strategies.fedavg import FedAvg

SIZES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4), st.integers(1, 5000), min_size=1, max_size=6
)
WEIGHTING = st.sampled_from(["patients", "equal", "sqrt"])


def updates_of(sizes: dict[str, int], seed: int = 0) -> list[SiteUpdate]:
    generator = torch.Generator().manual_seed(seed)
    return [
        SiteUpdate(
            site=site,
            round=1,
            state={
                "weight": torch.randn(2, 3, generator=generator),
                "half": torch.randn(4, generator=generator).half(),
                "count": torch.tensor(index),
                "flag": torch.tensor([index % 2 == 0]),
            },
            n_patients=n,
        )
        for index, (site, n) in enumerate(sizes.items())
    ]


@given(sizes=SIZES, weighting=WEIGHTING, data=st.data())
def test_order_of_arrival_changes_no_bit(sizes, weighting, data):
    updates = updates_of(sizes)
    shuffled = data.draw(st.permutations(updates))
    one = FedAvg(weighting).aggregate(updates[0].state, updates, {}).state
    other = FedAvg(weighting).aggregate(updates[0].state, shuffled, {}).state
    assert all(torch.equal(one[name], other[name]) for name in one)


@given(sizes=SIZES, weighting=WEIGHTING)
def test_mean_lies_between_the_sites(sizes, weighting):
    updates = updates_of(sizes)
    new = FedAvg(weighting).aggregate(updates[0].state, updates, {}).state
    for name in ("weight", "half"):
        stack = torch.stack([update.state[name] for update in updates])
        assert new[name].dtype == stack.dtype
        assert (new[name] >= stack.amin(0)).all()
        assert (new[name] <= stack.amax(0)).all()


@pytest.mark.parametrize(
    ("weighting", "expected"), [("patients", 9.0), ("equal", 5.0), ("sqrt", 7.5)]
)
def test_weighting_by_hand(weighting, expected):
    small = SiteUpdate(site="a", round=1, state={"w": torch.tensor([0.0])}, n_patients=10)
    large = SiteUpdate(site="b", round=1, state={"w": torch.tensor([10.0])}, n_patients=90)
    new = FedAvg(weighting).aggregate(small.state, [small, large], {}).state
    assert new["w"].item() == pytest.approx(expected)


def test_sum_does_not_suffer_float32_rounding():
    values = [1e8, 1.0, -1e8]
    updates = [
        SiteUpdate(site=str(i), round=1, state={"w": torch.tensor([value])}, n_patients=1)
        for i, value in enumerate(values)
    ]
    new = FedAvg().aggregate(updates[0].state, updates, {}).state
    assert new["w"].item() == pytest.approx(1 / 3)


def test_integers_come_from_the_heaviest_site_and_ties_from_the_first_name():
    updates = updates_of({"b": 5, "a": 9, "c": 9})
    new = FedAvg().aggregate(updates[0].state, updates, {}).state
    assert new["count"].dtype == torch.int64
    assert new["count"].item() == 1
    assert new["flag"].tolist() == [False]
    assert FedAvg("equal").aggregate(updates[0].state, updates, {}).state["count"].item() == 1


def test_one_site_is_the_identity_to_the_sign_of_zero_and_shares_no_memory():
    update = updates_of({"a": 3})[0]
    update.state["weight"][0, 0] = -0.0
    new = FedAvg().aggregate(update.state, [update], {}).state
    assert torch.signbit(new["weight"][0, 0])
    for name, value in update.state.items():
        assert torch.equal(new[name], value)
        assert new[name].data_ptr() != value.data_ptr()


def test_unknown_weighting_and_empty_round_are_refused():
    with pytest.raises(ConfigError, match="patients, equal, sqrt, got 'slides'"):
        FedAvg("slides")
    with pytest.raises(FederationError, match="no update"):
        FedAvg().aggregate({}, [], {})
