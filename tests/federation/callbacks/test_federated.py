from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch

from histofed.errors import ConfigError, FederationError
from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.messages import Round
from histofed.federation.state import state_of

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]


class Script:
    """An exchange that plays given rounds and remembers what was pushed."""

    def __init__(self, *rounds: Round) -> None:
        self.rounds = list(rounds)
        self.pushed = []

    def pull(self) -> Round:
        return self.rounds.pop(0)

    def push(self, update) -> None:
        self.pushed.append(update)


def script(toy, total: int, *, until: int | None = None) -> Script:
    """Rounds 1..total and the final one, each with another global model."""
    until = total + 1 if until is None else until
    return Script(
        *[
            Round(number=number, total=total, state=state_of(toy.module(number)))
            for number in range(1, until + 1)
        ]
    )


def fit(toy, exchange, *callbacks, module=None, trainer=None, **options) -> FederatedCallback:
    callback = FederatedCallback(exchange, site="north", n_patients=12, **options)
    pl_trainer = toy.trainer(callback, *callbacks, **(trainer or {}))
    pl_trainer.fit(toy.module() if module is None else module, toy.loader(toy.data(12, 0)))
    return callback


def test_every_round_is_answered_and_the_final_model_stays(toy):
    exchange = script(toy, 3)
    final = exchange.rounds[-1].state
    module = toy.module()
    callback = fit(toy, exchange, module=module, evaluate=toy.evaluator(toy.data(8, 1)))
    assert exchange.rounds == []
    assert [update.round for update in exchange.pushed] == [1, 2, 3, 4]
    assert [set(update.metrics) for update in exchange.pushed] == [
        *[{"train_loss", "val_loss"}] * 3,
        {"val_loss"},
    ]
    assert exchange.pushed[-1].state == {}
    assert toy.same(state_of(module), final)
    assert [record.number for record in callback.history] == [1, 2, 3, 4]
    assert callback.history[0].metrics == {"north": exchange.pushed[0].metrics}


def test_metrics_are_those_of_the_incoming_global_model(toy):
    exchange = script(toy, 2)
    rounds = list(exchange.rounds)
    evaluate = toy.evaluator(toy.data(8, 1))
    fit(toy, exchange, evaluate=evaluate)
    for incoming, update in zip(rounds, exchange.pushed, strict=True):
        module = toy.module().eval()
        module.load_state_dict(incoming.state)
        with torch.no_grad():
            # The batch is shuffled, so the sum runs in another order.
            assert update.metrics["val_loss"] == pytest.approx(evaluate(module)["val_loss"])


def test_train_loss_is_the_mean_over_the_rounds_batches_also_when_gradients_accumulate(toy):
    seen = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx) -> None:
            features, target = batch
            seen.append(torch.nn.functional.mse_loss(module(features), target).item())

    module = toy.module(plain=True, adam=False)
    exchange = Script(*[Round(number=n, total=2, state=state_of(module)) for n in (1, 2, 3)])
    fit(toy, exchange, Watch(), module=module, trainer={"accumulate_grad_batches": 2})
    assert len(seen) == 6
    for update, losses in zip(exchange.pushed, (seen[:3], seen[3:]), strict=False):
        assert update.metrics["train_loss"] == pytest.approx(sum(losses) / 3)


def test_several_local_epochs_make_one_round(toy):
    exchange = script(toy, 2)
    fit(toy, exchange, every=2, trainer={"max_epochs": 4})
    assert [update.round for update in exchange.pushed] == [1, 2, 3]
    # 12 patients in batches of 4: three steps an epoch, counted by the batch norm.
    started = exchange.pushed[1].state["net.1.num_batches_tracked"].item()
    assert started == 6


def test_a_longer_trainer_stops_with_the_rounds(toy):
    exchange = script(toy, 2)
    fit(toy, exchange, trainer={"max_epochs": -1})
    assert [update.round for update in exchange.pushed] == [1, 2, 3]


def test_a_server_may_end_early(toy):
    exchange = script(toy, 5, until=2)
    last = Round(number=3, total=2, state=state_of(toy.module(3)))
    exchange.rounds.append(last)
    module = toy.module()
    fit(toy, exchange, module=module, trainer={"max_epochs": 5})
    assert [update.round for update in exchange.pushed] == [1, 2, 3]
    assert toy.same(state_of(module), last.state)


@pytest.mark.parametrize(("keep", "sizes"), [(False, [0, 0, 0]), (True, [0, 6, 6])])
def test_the_optimizer_forgets_unless_told_otherwise(toy, keep, sizes):
    seen = []

    class Watch(pl.Callback):
        def on_train_epoch_start(self, trainer, module) -> None:
            seen.append(len(trainer.optimizers[0].state))

    fit(toy, script(toy, 3), Watch(), keep_optimizer=keep)
    assert seen == sizes


def test_evaluation_restores_the_mode_of_every_part(toy):
    module = toy.module()
    modes = []

    class FreezeNorm(pl.Callback):
        def on_train_epoch_start(self, trainer, module) -> None:
            modes.append((module.training, module.net[1].training))
            module.net[1].eval()

    fit(toy, script(toy, 3), FreezeNorm(), module=module, evaluate=toy.evaluator(toy.data(8, 1)))
    assert modes == [(True, True), (True, False), (True, False)]


def test_too_few_epochs_are_refused_before_any_training(toy):
    exchange = script(toy, 3)
    with pytest.raises(ConfigError, match=r"max_epochs is 5, but 3 rounds of 2 .* need 6"):
        fit(toy, exchange, every=2, trainer={"max_epochs": 5})
    assert exchange.pushed == []


def test_counting_steps_is_refused(toy):
    with pytest.raises(ConfigError, match="max_steps is 4"):
        fit(toy, script(toy, 3), trainer={"max_steps": 4})
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        fit(toy, script(toy, 3), every=0)


def test_a_foreign_model_is_refused_by_name(toy):
    exchange = Script(Round(number=1, total=1, state=state_of(toy.module(plain=True))))
    with pytest.raises(FederationError, match=r"site north, round 1 of 1: .*'net\.\d"):
        fit(toy, exchange)


def test_rounds_that_go_back_are_refused(toy):
    exchange = script(toy, 3)
    exchange.rounds[1] = exchange.rounds[0]
    with pytest.raises(FederationError, match="round 1 of 3: came after round 1"):
        fit(toy, exchange)


@pytest.mark.parametrize("epoch", [0, 1])
def test_training_that_ends_inside_a_run_is_an_error(toy, epoch):
    class StopEarly(pl.Callback):
        def on_train_epoch_end(self, trainer, module) -> None:
            trainer.should_stop = trainer.current_epoch >= epoch

    with pytest.raises(FederationError, match="training ended in round 1 of 3"):
        fit(toy, script(toy, 3), StopEarly(), every=2, trainer={"max_epochs": 6})


def test_a_server_that_goes_on_is_an_error(toy):
    exchange = script(toy, 2)
    exchange.rounds[-1] = Round(number=3, total=3, state=exchange.rounds[-1].state)
    with pytest.raises(FederationError, match="the server goes on with 3 of 3"):
        fit(toy, exchange, trainer={"max_epochs": 9})
