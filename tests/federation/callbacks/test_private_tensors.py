"""Tensors that never leave a site and are never overwritten."""

from __future__ import annotations

import pytest
import torch

from histofed.errors import ConfigError, FederationError
from histofed.federation.messages import Round
from histofed.federation.private import shared
from histofed.federation.random_state import undisturbed
from histofed.federation.state import state_of
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.transports.in_process import run_sites

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]

NORM = ["net.1.*"]


def test_they_do_not_leave_and_are_not_overwritten(toy, script_of, fit):
    module = toy.module(9)
    private = {name: v for name, v in state_of(module).items() if name.startswith("net.1.")}
    rounds = [
        Round(number=n, total=2, state=shared(state_of(toy.module(n)), NORM)) for n in (1, 2, 3)
    ]
    exchange = script_of(*rounds)
    seen = []

    def evaluate(model) -> dict[str, float]:
        seen.append(state_of(model))
        return {}

    fit(exchange, module=module, private=NORM, evaluate=evaluate)
    for current, state in zip(rounds, seen, strict=True):
        assert all(torch.equal(state[name], value) for name, value in current.state.items())
    assert all(torch.equal(seen[0][name], value) for name, value in private.items())
    for update in exchange.pushed[:2]:
        assert list(update.state) == list(rounds[0].state)
    # They go on from where this site's own training left them.
    assert [state["net.1.num_batches_tracked"].item() for state in seen] == [0, 3, 6]
    assert state_of(module)["net.1.num_batches_tracked"] == 6


def test_sites_with_heads_of_different_tasks_share_a_trunk(toy):
    modules = {}
    sites = {
        name: toy.site(name, n=12, seed=seed, modules=modules, private=["net.3.*"], outputs=outputs)
        for seed, (name, outputs) in enumerate({"a": 1, "b": 4}.items())
    }
    start = shared(state_of(toy.module()), ["net.3.*"])
    with undisturbed():
        torch.manual_seed(5)
        result = run_sites(sites, FedAvg(), initial_state=start, rounds=3)
    assert list(result.state) == list(start)
    states = {name: state_of(module) for name, module in modules.items()}
    for name, value in result.state.items():
        assert torch.equal(states["a"][name], value)
        assert torch.equal(states["b"][name], value)
    assert [states[name]["net.3.weight"].shape[0] for name in "ab"] == [1, 4]


def test_slips_are_refused_before_any_round(toy, script, fit):
    exchange = script(1)
    with pytest.raises(ConfigError, match=r"'net\.9\.\*' matches no tensor"):
        fit(exchange, private=["net.9.*"])
    with pytest.raises(ConfigError, match="match every tensor"):
        fit(exchange, private=["net.*"])
    assert len(exchange.rounds) == 2


def test_a_global_model_that_holds_them_is_refused_by_name(script, fit):
    with pytest.raises(FederationError, match=r"round 1 of 1: .*'net\.1\.bias' is unknown"):
        fit(script(1), private=NORM)
