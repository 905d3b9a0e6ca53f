"""Every strategy that ``configs/strategy`` names keeps the promises of a strategy."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
import yaml

from histofed.federation.messages import SiteUpdate

FOLDER = Path(__file__).parents[2] / "configs" / "strategy"
GLOBAL = {
    "weight": torch.zeros(3, 2),
    "half": torch.zeros(4, dtype=torch.float16),
    "count": torch.tensor(0),
    "flag": torch.tensor([False, True]),
}


def update_of(site: str, seed: int, n_patients: int) -> SiteUpdate:
    generator = torch.Generator().manual_seed(seed)
    state = {
        "weight": torch.randn(3, 2, generator=generator),
        "half": torch.randn(4, generator=generator).half(),
        "count": torch.tensor(10 + seed),
        "flag": torch.rand(2, generator=generator) > 0.5,
    }
    return SiteUpdate(site=site, round=1, state=state, n_patients=n_patients)


UPDATES = [update_of("west", 0, 7), update_of("north", 1, 40), update_of("south", 2, 13)]


@pytest.fixture(params=sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def strategy(request):
    arguments = yaml.safe_load(request.param.read_text(encoding="utf-8"))
    module, _, name = arguments.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), name)(**arguments)


def test_result_has_the_names_order_shapes_and_dtypes_of_the_global_model(strategy):
    new = strategy.aggregate(GLOBAL, UPDATES)
    assert list(new) == list(GLOBAL)
    for name, old in GLOBAL.items():
        assert (new[name].dtype, new[name].shape) == (old.dtype, old.shape)


def test_one_site_is_the_identity(strategy):
    new = strategy.aggregate(GLOBAL, UPDATES[:1])
    assert all(torch.equal(new[name], value) for name, value in UPDATES[0].state.items())


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_order_of_the_updates_changes_no_bit(strategy, order):
    one = strategy.aggregate(GLOBAL, UPDATES)
    other = strategy.aggregate(GLOBAL, [UPDATES[index] for index in order])
    assert all(torch.equal(one[name], other[name]) for name in GLOBAL)


def test_equal_updates_stay_what_they_are(strategy):
    state = UPDATES[0].state
    same = [
        SiteUpdate(site=update.site, round=1, state=state, n_patients=update.n_patients)
        for update in UPDATES
    ]
    new = strategy.aggregate(GLOBAL, same)
    for name, value in state.items():
        torch.testing.assert_close(new[name], value)


def test_integers_are_one_sites_own_never_a_mean(strategy):
    new = strategy.aggregate(GLOBAL, UPDATES)
    assert any(
        torch.equal(new["count"], update.state["count"])
        and torch.equal(new["flag"], update.state["flag"])
        for update in UPDATES
    )


def test_inputs_are_left_alone_and_share_no_memory(strategy):
    before = [{name: value.clone() for name, value in u.state.items()} for u in UPDATES]
    new = strategy.aggregate(GLOBAL, UPDATES)
    for value in new.values():
        value.fill_(1)
    for update, state in zip(UPDATES, before, strict=True):
        assert all(torch.equal(update.state[name], value) for name, value in state.items())
    assert not GLOBAL["weight"].any()
