"""A site that is killed anywhere and started again sends the same bits as one that was not."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch

from histofed.errors import ConfigError, FederationError, FileDamaged
from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.callbacks.scaffold import ScaffoldCorrection
from histofed.federation.commits import commits_in
from histofed.federation.messages import Round
from histofed.federation.random_state import undisturbed
from histofed.federation.site_memory import RememberedExchange
from histofed.federation.state import state_of, trainable_names

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]

ROUNDS = 3


class Killed(BaseException):
    """What no code of ours catches."""


class Hub:
    """A server of one site: its next model depends on every answer; it outlives the site."""

    def __init__(self, state, run: str = "trial") -> None:
        self.round = Round(number=1, total=ROUNDS, state=state, run=run)
        self.taken = {}
        self.pulls = 0

    def pull(self) -> Round:
        self.pulls += 1
        return self.round

    def push(self, update) -> None:
        assert update.round == self.round.number
        assert update.base == self.round.base
        self.taken[update.round] = update
        if not self.round.final:
            moved = {
                name: value * 0.9 if value.is_floating_point() else value
                for name, value in update.state.items()
            }
            self.round = Round(
                number=update.round + 1, total=ROUNDS, state=moved, run=self.round.run
            )


class Schedule(pl.LightningModule):
    """The toy's network with a learning rate that depends on the epoch."""

    def __init__(self, inner: pl.LightningModule) -> None:
        super().__init__()
        self.inner = inner
        self.rates = []

    def training_step(self, batch, batch_idx):
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        return self.inner.training_step(batch, batch_idx)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.02)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)]


class KillAt(pl.Callback):
    """Dies at the n-th of all the moments at which a callback is called."""

    def __init__(self, moment: int | None = None) -> None:
        self.moment, self.count = moment, 0

    def _tick(self, *args, **kwargs) -> None:
        self.count += 1
        if self.count == self.moment:
            raise Killed

    on_train_epoch_start = on_train_batch_start = on_train_batch_end = _tick
    on_train_epoch_end = on_train_end = on_fit_start = _tick


class Counter(pl.Callback):
    """What another rule keeps from round to round."""

    def __init__(self) -> None:
        self.batches = 0

    def on_train_batch_end(self, *args) -> None:
        self.batches += 1

    def state_dict(self) -> dict:
        return {"batches": torch.tensor(self.batches)}

    def load_state_dict(self, state) -> None:
        self.batches = int(state["batches"])


def fit(toy, hub, folder, *, seed=5, moment: int | None = None, first=False, rules=(), **options):
    """Start the site's process: a new module, a new callback, a new trainer."""
    others = [KillAt(moment), Counter(), *rules]
    with undisturbed():
        torch.manual_seed(seed)
        module = Schedule(toy.module(7))
        loader = toy.loader(toy.data(12, 0))
        federated = FederatedCallback(
            hub, site="north", n_patients=12, every=2, keep_optimizer=True, memory=folder,
            evaluate=lambda model: {"norm": float(model.inner.net[0].weight.norm())}, **options,
        )  # fmt: skip
        callbacks = [*others, federated] if first else [federated, *others]
        trainer = toy.trainer(*callbacks, max_epochs=2 * ROUNDS)
        try:
            trainer.fit(module, loader)
        except Killed:
            return None
    return module, trainer, others


def new_hub(toy) -> Hub:
    return Hub(state_of(Schedule(toy.module(1))))


def same_answers(toy, one: Hub, other: Hub) -> bool:
    return one.taken.keys() == other.taken.keys() and all(
        toy.same(one.taken[number].state, other.taken[number].state)
        and one.taken[number].metrics == other.taken[number].metrics
        and one.taken[number].n_steps == other.taken[number].n_steps
        for number in one.taken
    )


def test_a_memory_changes_no_bit(toy, tmp_path):
    without, kept = new_hub(toy), new_hub(toy)
    fit(toy, without, None)
    fit(toy, kept, tmp_path)
    assert sorted(without.taken) == [1, 2, 3, 4]
    assert same_answers(toy, without, kept)
    assert commits_in(tmp_path) == [2, 3]


@pytest.mark.parametrize("first", [False, True])
def test_killed_at_any_moment_and_started_again_it_sends_the_same_bits(toy, tmp_path, first):
    """Each moment before, in and after each round; every start has other random numbers."""
    calm = new_hub(toy)
    module, _, (clock, counter) = fit(toy, calm, None, first=first)
    rates = module.rates
    assert clock.count > 40
    for moment in range(1, clock.count + 1, 5 if first else 3):
        hub, folder = new_hub(toy), tmp_path / str(moment)
        assert fit(toy, hub, folder, moment=moment, first=first) is None
        seed = 99 if commits_in(folder) else 5
        module, trainer, others = fit(toy, hub, folder, seed=seed, first=first)
        assert same_answers(toy, calm, hub), moment
        assert module.rates == rates[len(rates) - len(module.rates) :]
        assert (trainer.current_epoch, trainer.global_step) == (6, 18)
        assert others[1].batches == counter.batches == 18


def test_controls_of_a_rule_come_back(toy, tmp_path):
    """SCAFFOLD's controls outlive rounds, and a killed process."""

    class Corrected(Hub):
        @property
        def round(self) -> Round:
            return self._round

        @round.setter
        def round(self, value: Round) -> None:
            names = trainable_names(Schedule(toy.module(1)))
            controls = {name: value.state[name] * 0.01 for name in names}
            self._round = dataclasses.replace(value, controls=controls)

    def play(folder, *moments: int | None) -> Corrected:
        hub = Corrected(state_of(Schedule(toy.module(1))))
        for seed, moment in enumerate(moments, start=5):
            fit(toy, hub, folder, moment=moment, seed=seed, rules=[ScaffoldCorrection()])
        return hub

    calm, hub = play(None, None), play(tmp_path, 25, 14, None)
    assert same_answers(toy, calm, hub)
    for number in (1, 2, 3):
        assert toy.same(calm.taken[number].controls, hub.taken[number].controls)
    assert any(value.any() for value in calm.taken[3].controls.values())


def test_killed_twice(toy, tmp_path):
    calm, hub = new_hub(toy), new_hub(toy)
    fit(toy, calm, None)
    for moment, seed in ((25, 5), (14, 6), (None, 7)):
        fit(toy, hub, tmp_path, moment=moment, seed=seed)
    assert same_answers(toy, calm, hub)


def test_a_round_that_the_server_has_is_trained_again_but_not_sent_again(toy, tmp_path):
    hub = new_hub(toy)
    # The start of the fit, and two epochs of a start, three batches and an end.
    fit(toy, hub, tmp_path, moment=1 + 2 * (1 + 6 + 1))
    assert sorted(hub.taken) == commits_in(tmp_path) == [1]
    pushed = []
    hub.push = lambda update, push=hub.push: (pushed.append(update.round), push(update))
    fit(toy, hub, tmp_path, seed=9)
    assert pushed == [2, 3, 4]


def test_a_server_that_went_on_without_the_site_is_joined(toy, tmp_path):
    hub = new_hub(toy)
    fit(toy, hub, tmp_path, moment=6)
    assert hub.taken == {}
    state = hub.round.state
    hub.round = Round(number=3, total=ROUNDS, state=state, run="trial")
    fit(toy, hub, tmp_path, seed=9)
    assert sorted(hub.taken) == [3, 4]


def start_and_kill(toy, folder) -> Hub:
    hub = new_hub(toy)
    fit(toy, hub, folder, moment=25)
    assert commits_in(folder) == [1, 2]
    return hub


def test_the_memory_of_another_run_or_model_is_refused(toy, tmp_path):
    hub = start_and_kill(toy, tmp_path)
    state, hub.round = hub.round.state, Round(number=2, total=3, state=hub.round.state, run="pilot")
    with pytest.raises(
        FederationError, match=r"site north: .*run 'trial', the server's is 'pilot'"
    ):
        fit(toy, hub, tmp_path)
    other = {name: value + 1 for name, value in state.items()}
    hub.round = Round(number=2, total=3, state=other, run="trial")
    with pytest.raises(FederationError, match="another global model of round 2"):
        fit(toy, hub, tmp_path)


def test_a_server_that_fell_back_by_a_round_is_followed_and_by_more_refused(toy, tmp_path):
    calm = new_hub(toy)
    fit(toy, calm, None)
    hub = start_and_kill(toy, tmp_path)
    fallen = new_hub(toy)
    fit(toy, fallen, tmp_path, seed=9)
    assert same_answers(toy, calm, fallen)
    assert commits_in(tmp_path) == [2, 3]
    with pytest.raises(FederationError, match="hands out round 1, this site was in round 3"):
        fit(toy, new_hub(toy), tmp_path)
    assert sorted(hub.taken) == [1]


def test_a_round_that_was_refused_is_refused_again_after_a_restart(toy, tmp_path):
    hub = start_and_kill(toy, tmp_path)
    crafted = {
        name: value * 1e6 if value.is_floating_point() else value
        for name, value in hub.round.state.items()
    }
    hub.round = Round(number=3, total=ROUNDS, state=crafted, run="trial")
    for _ in range(3):
        with pytest.raises(FederationError, match=r"the global model moved by .*max_change"):
            fit(toy, hub, tmp_path)
    assert sorted(hub.taken) == [1]
    assert commits_in(tmp_path) == [1, 2]


def test_a_damaged_commit_is_refused_by_name(toy, tmp_path):
    hub = start_and_kill(toy, tmp_path)
    file = tmp_path / "round-0002.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(FileDamaged, match=r"round-0002\.safetensors"):
        fit(toy, hub, tmp_path)


@pytest.mark.parametrize(
    ("persistent", "started", "match"),
    [(True, 0, "set persistent_workers=False"), (False, 1, "starts inside an epoch")],
)
def test_what_no_commit_can_hold_is_refused(toy, tmp_path, persistent, started, match):
    trainer = SimpleNamespace(
        train_dataloader=SimpleNamespace(persistent_workers=persistent),
        fit_loop=SimpleNamespace(
            epoch_progress=SimpleNamespace(current=SimpleNamespace(started=started, completed=0))
        ),
    )
    exchange = RememberedExchange(new_hub(toy), tmp_path, site="north")
    exchange.begin(trainer, toy.module())
    exchange.pull()
    with pytest.raises(ConfigError, match=f"site north, round 1: .*{match}"):
        exchange.commit()
