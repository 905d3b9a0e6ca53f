"""The attacks that were measured to break other engines, one bad site of three.

Each ends as the run without the bad site does, bit for bit: the site is named with the reason, and
counts for nothing.
"""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch

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

WEIGHT = "net.0.weight"


def with_tensor(update, value: torch.Tensor, name: str = WEIGHT):
    return dataclasses.replace(update, state={**update.state, name: value})


def without_tensor(update):
    state = {name: value for name, value in update.state.items() if name != WEIGHT}
    return dataclasses.replace(update, state=state)


def larger(update):
    state = {
        name: value * 1e8 if value.is_floating_point() else value
        for name, value in update.state.items()
    }
    return dataclasses.replace(update, state=state)


def raises(update):
    msg = "out of memory"
    raise RuntimeError(msg)


ATTACKS = {
    "NaN": (lambda u: with_tensor(u, torch.full((4, 3), torch.nan)), "must be finite, found nan"),
    "x1e8": (larger, "it changes the model by .*e\\+08, more than"),
    "a shape that broadcasts": (lambda u: with_tensor(u, torch.ones(1)), "found \\(1,\\)"),
    "a wrong shape": (lambda u: with_tensor(u, torch.ones(3, 4)), "found \\(3, 4\\)"),
    "a missing tensor": (without_tensor, f"'{WEIGHT}' is missing"),
    "a further tensor": (lambda u: with_tensor(u, torch.ones(2), "more"), "'more' is unknown"),
    "1e12 patients": (
        lambda u: dataclasses.replace(u, n_patients=10**12),
        "n_patients must be in .* found 1000000000000",
    ),
    "-79 patients": (
        lambda u: dataclasses.replace(u, n_patients=-79),
        "n_patients must be in .* found -79",
    ),
    "an exception": (raises, "the site failed: RuntimeError: out of memory"),
}


class Attacking:
    """An exchange whose site sends something else than it trained, every round."""

    def __init__(self, exchange, attack) -> None:
        self.pull, self._push, self._attack = exchange.pull, exchange.push, attack

    def push(self, update) -> None:
        self._push(self._attack(update) if update.state else update)


def run(sites, toy):
    with undisturbed():
        torch.manual_seed(5)
        return run_sites(
            sites, FedAvg(), initial_state=state_of(toy.module()), rounds=3, quorum=2, run="trial"
        )


def two(toy) -> dict:
    return {name: toy.site(name, n=n, seed=n) for name, n in (("north", 12), ("west", 20))}


@pytest.fixture(scope="module")
def without_it():
    """Cached over the attacks: what the two honest sites make."""
    return {}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_run_ends_as_the_one_without_the_bad_site(toy, attack, without_it):
    if not without_it:
        without_it["result"] = run(two(toy), toy)
    expected = without_it["result"]
    change, reason = ATTACKS[attack]
    honest = toy.site("south", n=8, seed=8)
    bad = {"south": lambda exchange: honest(Attacking(exchange, change))}
    result = run({**two(toy), **bad}, toy)
    assert toy.same(result.state, expected.state)
    for record in result.history[:3]:
        assert sorted(record.metrics) == ["north", "west"]
        (said,) = (record.refused | record.absent).values()
        assert re.search(
            f"site south, round {min(record.number, 3) if record.refused else 1}", said
        )
        assert re.search(reason, said)


def test_an_honest_third_site_does_make_a_difference(toy):
    """Else the test above would pass with a gate that lets nobody in."""
    honest = {**two(toy), "south": toy.site("south", n=8, seed=8)}
    result = run(honest, toy)
    assert not toy.same(result.state, run(two(toy), toy).state)
    assert all(not record.refused and not record.absent for record in result.history)
