"""What the tests of callbacks share: exchanges that play given rounds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.guard import SitePolicy
from histofed.federation.messages import Round
from histofed.federation.state import state_of

if TYPE_CHECKING:
    import torch

    from histofed.federation.strategies.base import Strategy


class Script:
    """An exchange that plays given rounds and remembers what was pushed."""

    def __init__(self, *rounds: Round) -> None:
        self.rounds = list(rounds)
        self.pushed = []

    def pull(self) -> Round:
        return self.rounds.pop(0)

    def push(self, update) -> None:
        self.pushed.append(update)


class Alone:
    """An exchange with a server that has this one site, played by a strategy without a gate."""

    def __init__(
        self, strategy: Strategy, state: dict[str, torch.Tensor], *, total: int, trainable: list
    ) -> None:
        self.strategy, self.total = strategy, total
        self.memory = strategy.start(state, trainable=trainable, sites=["north"])
        self.rounds, self.pushed = [], []
        self._offer(1, state)

    def _offer(self, number: int, state: dict[str, torch.Tensor]) -> None:
        controls = self.strategy.controls(self.memory)
        self.rounds.append(Round(number=number, total=self.total, state=state, controls=controls))

    def pull(self) -> Round:
        return self.rounds[-1]

    def push(self, update) -> None:
        self.pushed.append(update)
        current = self.rounds[-1]
        if not current.final:
            state, self.memory = self.strategy.aggregate(current.state, [update], self.memory)
            self._offer(current.number + 1, state)


@pytest.fixture
def script(toy):
    """Return rounds 1..total and the final one, each with another global model."""

    def make(total: int, *, until: int | None = None, **changes) -> Script:
        until = total + 1 if until is None else until
        numbers = range(1, until + 1)
        rounds = [Round(number=n, total=total, state=state_of(toy.module(n))) for n in numbers]
        return Script(*[dataclasses.replace(each, **changes) for each in rounds])

    return make


@pytest.fixture
def script_of():
    return Script


@pytest.fixture
def alone():
    return Alone


@pytest.fixture
def fit(toy):
    """Train the toy hospital through an exchange."""

    def run(exchange, *callbacks, module=None, trainer=None, n=12, batch_size=4, **options):
        # A step of the toy has fewer patients than a hospital may send an update of.
        options.setdefault("policy", SitePolicy(min_patients=1))
        callback = FederatedCallback(exchange, site="north", n_patients=n, **options)
        pl_trainer = toy.trainer(callback, *callbacks, **(trainer or {}))
        loader = toy.loader(toy.data(n, 0), batch_size=batch_size)
        pl_trainer.fit(toy.module() if module is None else module, loader)
        return callback

    return run
