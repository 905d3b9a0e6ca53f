from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch

from histofed.errors import ConfigError, FederationError
from histofed.federation.messages import Round
from histofed.federation.state import state_of

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]


def test_every_round_is_answered_and_the_final_model_stays(toy, script, fit):
    exchange = script(3)
    final = exchange.rounds[-1].state
    module = toy.module()
    callback = fit(exchange, module=module, evaluate=toy.evaluator(toy.data(8, 1)))
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


def test_metrics_are_those_of_the_incoming_global_model(toy, script, fit):
    exchange = script(2)
    rounds = list(exchange.rounds)
    evaluate = toy.evaluator(toy.data(8, 1))
    fit(exchange, evaluate=evaluate)
    for incoming, update in zip(rounds, exchange.pushed, strict=True):
        module = toy.module().eval()
        module.load_state_dict(incoming.state)
        with torch.no_grad():
            # The batch is shuffled, so the sum runs in another order.
            assert update.metrics["val_loss"] == pytest.approx(evaluate(module)["val_loss"])


def test_train_loss_is_the_mean_over_the_rounds_batches_also_when_gradients_accumulate(
    toy, script_of, fit
):
    seen = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx) -> None:
            features, target = batch
            seen.append(torch.nn.functional.mse_loss(module(features), target).item())

    module = toy.module(plain=True, adam=False)
    exchange = script_of(*[Round(number=n, total=2, state=state_of(module)) for n in (1, 2, 3)])
    fit(exchange, Watch(), module=module, trainer={"accumulate_grad_batches": 2})
    assert len(seen) == 6
    for update, losses in zip(exchange.pushed, (seen[:3], seen[3:]), strict=False):
        assert update.metrics["train_loss"] == pytest.approx(sum(losses) / 3)


def test_several_local_epochs_make_one_round(script, fit):
    exchange = script(2)
    fit(exchange, every=2, trainer={"max_epochs": 4})
    assert [update.round for update in exchange.pushed] == [1, 2, 3]
    # 12 patients in batches of 4: three steps an epoch, counted by the batch norm.
    started = exchange.pushed[1].state["net.1.num_batches_tracked"].item()
    assert started == 6


def test_a_longer_trainer_stops_with_the_rounds(script, fit):
    exchange = script(2)
    fit(exchange, trainer={"max_epochs": -1})
    assert [update.round for update in exchange.pushed] == [1, 2, 3]


def test_a_server_may_end_early(toy, script, fit):
    exchange = script(5, until=2)
    last = Round(number=3, total=2, state=state_of(toy.module(3)))
    exchange.rounds.append(last)
    module = toy.module()
    fit(exchange, module=module, trainer={"max_epochs": 5})
    assert [update.round for update in exchange.pushed] == [1, 2, 3]
    assert toy.same(state_of(module), last.state)


@pytest.mark.parametrize(("keep", "sizes"), [(False, [0, 0, 0]), (True, [0, 6, 6])])
def test_the_optimizer_forgets_unless_told_otherwise(keep, sizes, script, fit):
    seen = []

    class Watch(pl.Callback):
        def on_train_epoch_start(self, trainer, module) -> None:
            seen.append(len(trainer.optimizers[0].state))

    fit(script(3), Watch(), keep_optimizer=keep)
    assert seen == sizes


def test_evaluation_restores_the_mode_of_every_part(toy, script, fit):
    module = toy.module()
    modes = []

    class FreezeNorm(pl.Callback):
        def on_train_epoch_start(self, trainer, module) -> None:
            modes.append((module.training, module.net[1].training))
            module.net[1].eval()

    fit(script(3), FreezeNorm(), module=module, evaluate=toy.evaluator(toy.data(8, 1)))
    assert modes == [(True, True), (True, False), (True, False)]


def test_too_few_epochs_are_refused_before_any_training(script, fit):
    exchange = script(3)
    with pytest.raises(ConfigError, match=r"max_epochs is 5, but 3 rounds of 2 .* need 6"):
        fit(exchange, every=2, trainer={"max_epochs": 5})
    assert exchange.pushed == []


def test_counting_steps_is_refused(script, fit):
    with pytest.raises(ConfigError, match="max_steps is 4"):
        fit(script(3), trainer={"max_steps": 4})
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        fit(script(3), every=0)


def test_a_foreign_model_is_refused_by_name(toy, script_of, fit):
    exchange = script_of(Round(number=1, total=1, state=state_of(toy.module(plain=True))))
    with pytest.raises(FederationError, match=r"site north, round 1 of 1: .*'net\.\d"):
        fit(exchange)


def test_rounds_that_go_back_are_refused(script, fit):
    exchange = script(3)
    exchange.rounds[1] = exchange.rounds[0]
    with pytest.raises(FederationError, match="round 1 of 3: came after round 1"):
        fit(exchange)


@pytest.mark.parametrize("epoch", [0, 1])
def test_training_that_ends_inside_a_run_is_an_error(epoch, script, fit):
    class StopEarly(pl.Callback):
        def on_train_epoch_end(self, trainer, module) -> None:
            trainer.should_stop = trainer.current_epoch >= epoch

    with pytest.raises(FederationError, match="training ended in round 1 of 3"):
        fit(script(3), StopEarly(), every=2, trainer={"max_epochs": 6})


def test_a_server_that_goes_on_is_an_error(script, fit):
    exchange = script(2)
    exchange.rounds[-1] = Round(number=3, total=3, state=exchange.rounds[-1].state)
    with pytest.raises(FederationError, match="the server goes on with 3 of 3"):
        fit(exchange, trainer={"max_epochs": 9})
