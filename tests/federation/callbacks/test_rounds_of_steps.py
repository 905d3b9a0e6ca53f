"""Rounds counted in optimizer steps, and rounds in which other sites train."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from histofed.errors import ConfigError, FederationError
from histofed.federation.guard import SitePolicy
from histofed.federation.random_state import undisturbed
from histofed.federation.state import state_of, trainable_names
from histofed.federation.strategies.cyclic import Cyclic
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.strategies.scaffold import Scaffold
from histofed.federation.transports.in_process import run_sites

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]


@pytest.mark.parametrize("every", [1, 3, 4, 6])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_one_site_is_plain_training_bit_for_bit(toy, alone, fit, every, accumulate):
    """12 steps of 4 or 2 an epoch: rounds end inside epochs, at their ends, and beyond them."""
    settings = {"accumulate_grad_batches": accumulate, "max_epochs": -1}
    plain, module = toy.module(3), toy.module(3)
    with undisturbed():
        torch.manual_seed(5)
        trainer = toy.trainer(**settings, max_steps=12)
        trainer.fit(plain, toy.loader(toy.data(14, 0)))
    exchange = alone(FedAvg(), state_of(module), total=12 // every, trainable=[])
    with undisturbed():
        torch.manual_seed(5)
        options = {"every": every, "unit": "steps", "keep_optimizer": True, "n": 14}
        fit(exchange, module=module, trainer=settings, **options)
    assert [update.n_steps for update in exchange.pushed] == [*[every] * (12 // every), 0]
    assert toy.same(exchange.pushed[-1].state, {})
    assert toy.same(exchange.rounds[-1].state, state_of(plain))
    assert toy.same(state_of(module), state_of(plain))


def test_the_loss_is_that_of_the_rounds_own_batches(toy, script, fit):
    exchange = script(3)
    losses = []

    class Watch(toy.callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
            losses.append(outputs["loss"].item())

    fit(exchange, Watch(), every=2, unit="steps")
    found = [update.metrics["train_loss"] for update in exchange.pushed[:-1]]
    expected = [sum(losses[start : start + 2]) / 2 for start in (0, 2, 4)]
    assert found == pytest.approx(expected)


def test_a_batch_that_steps_twice_ends_the_round_it_goes_beyond(toy, script, fit):
    class Two(type(toy.module())):
        automatic_optimization = False

        def configure_optimizers(self):
            return [torch.optim.SGD(self.parameters(), lr=0.1) for _ in range(2)]

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.manual_backward(loss)
            for optimizer in self.optimizers():
                optimizer.step()
            return loss

    exchange = script(2)
    fit(exchange, module=Two(), every=3, unit="steps", trainer={"max_epochs": -1})
    assert [update.n_steps for update in exchange.pushed] == [4, 4, 0]


def test_too_few_epochs_for_the_steps_are_refused_before_any_training(script, fit):
    exchange = script(3)
    with pytest.raises(ConfigError, match=r"max_epochs is 3, but 3 rounds of 4 local steps need 4"):
        fit(exchange, every=4, unit="steps", trainer={"max_epochs": 3})
    assert exchange.pushed == []
    fit(script(3), every=3, unit="steps", trainer={"max_epochs": 3})


def test_a_memory_on_disk_needs_whole_epochs(script, fit, tmp_path):
    with pytest.raises(ConfigError, match=r"needs rounds of whole epochs, found rounds of 2 steps"):
        fit(script(1), every=2, unit="steps", memory=tmp_path)


def test_training_that_ends_inside_a_round_says_what_was_left(toy, script, fit):
    class StopEarly(toy.callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
            trainer.should_stop = trainer.global_step == 4

    match = "training ended in round 1 of 3 with 3 local steps of it to go"
    with pytest.raises(FederationError, match=match):
        fit(script(3), StopEarly(), every=7, unit="steps", trainer={"max_epochs": -1})


@pytest.mark.parametrize("unit", ["epochs", "steps"])
def test_a_server_may_end_early(script, fit, unit):
    exchange = script(5, until=2)
    last = dataclasses.replace(script(3).rounds[2], total=2)
    exchange.rounds.append(last)
    fit(exchange, every=2, unit=unit, trainer={"max_epochs": -1})
    assert [update.round for update in exchange.pushed] == [1, 2, 3]
    assert exchange.pushed[-1].state == {}


@pytest.mark.parametrize("unit", ["epochs", "steps"])
def test_a_site_only_evaluates_where_others_train(toy, script, fit, unit):
    exchange = script(5)
    names = ["south", "north", "south", "north", "south"]
    exchange.rounds[:5] = [
        dataclasses.replace(each, trainers=(name,))
        for each, name in zip(exchange.rounds, names, strict=False)
    ]
    fit(
        exchange,
        every=2,
        unit=unit,
        evaluate=toy.evaluator(toy.data(8, 1)),
        trainer={"max_epochs": -1},
    )
    assert [update.round for update in exchange.pushed] == [1, 2, 3, 4, 5, 6]
    trained = [bool(update.state) for update in exchange.pushed]
    assert trained == [False, True, False, True, False, False]
    assert all("val_loss" in update.metrics for update in exchange.pushed)
    assert [update.n_steps > 0 for update in exchange.pushed] == trained


@pytest.mark.parametrize("unit", ["epochs", "steps"])
def test_the_model_travels_from_site_to_site(toy, unit):
    """Cyclic over two sites is one site's training, then the other's from where that ended."""
    trained = {}

    def pushed(name, exchange):
        class Door:
            pull = exchange.pull

            def push(self, update) -> None:
                trained[update.round, name] = update.state
                exchange.push(update)

        return Door()

    bodies = {
        name: toy.site(
            name, n=12, seed=seed, every=1, unit=unit, epochs=-1, policy=SitePolicy(min_patients=1)
        )
        for seed, name in enumerate(("a", "b"))
    }
    sites = {
        name: lambda door, name=name, body=body: body(pushed(name, door))
        for name, body in bodies.items()
    }
    with undisturbed():
        torch.manual_seed(5)
        result = run_sites(sites, Cyclic(), initial_state=state_of(toy.module()), rounds=3)
    assert [name for (_, name), state in sorted(trained.items()) if state] == ["a", "b", "a"]
    assert toy.same(result.state, trained[3, "a"])
    assert [sorted(record.metrics) for record in result.history] == [["a", "b"]] * 4


def test_scaffold_of_one_site_is_plain_training_bit_for_bit(toy):
    plain = toy.module(3)
    with undisturbed():
        torch.manual_seed(5)
        toy.trainer(max_epochs=4).fit(plain, toy.loader(toy.data(14, 0)))
    start = toy.module(3)
    site = toy.site("only", n=14, epochs=4, keep_optimizer=True, rules=["scaffold"])
    with undisturbed():
        torch.manual_seed(5)
        result = run_sites(
            {"only": site},
            Scaffold(),
            initial_state=state_of(start),
            rounds=4,
            trainable=trainable_names(start),
        )
    assert toy.same(result.state, state_of(plain))
