"""The memory of a site on disk, so that one that was killed goes on as if nothing had happened.

A site commits when it has a round and before it trains: the round itself, and all that training it
depends on. Whenever the process dies after that, the round is trained again from the commit, to the
same bits. If the server has its answer already, the answer is not sent twice; the training is
repeated all the same, because the next round starts where this one ends (optimizer, generators,
tensors that never leave).
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from histofed.errors import ConfigError, FederationError
from histofed.federation.commits import commits_in, read_commit, write_commit
from histofed.federation.exchange import TurnOver
from histofed.federation.messages import Round
from histofed.federation.random_state import RandomState
from histofed.federation.state import state_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytorch_lightning as pl

    from histofed.federation.exchange import Exchange
    from histofed.federation.messages import SiteUpdate

KIND = "memory of a site"


class RememberedExchange:
    """An exchange that commits what comes in, and begins where a killed process was.

    Learning-rate schedulers, epochs and steps are the trainer's, and go on counting. What another
    callback keeps from round to round must be in its ``state_dict()``.

    Parameters
    ----------
    exchange
        The door to the server.
    folder
        Where the site commits; one per run and site.
    """

    def __init__(self, exchange: Exchange, folder: Path, *, site: str) -> None:
        self._exchange = exchange
        self._folder = folder
        self._site = site
        self._at_start: RandomState | None = None
        self._again: tuple[Round, RandomState] | None = None
        self._ahead: Round | None = None
        self._parked: RandomState | None = None
        self._last: Round | None = None
        self._new: Round | None = None

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Bring back what a killed process had committed; to be called when a fit starts.

        Raises
        ------
        FederationError
            The commits are of another run, or not of the rounds that the server hands out.
        FileDamaged
            The commit that is needed was damaged on disk.
        """
        self._trainer, self._module = trainer, module
        if not commits_in(self._folder):
            # Lightning draws from the generators before the first epoch.
            self._at_start = RandomState.capture()
            return
        offered = self._exchange.pull()
        content = read_commit(self._folder, self._number_for(offered), kind=KIND)
        if content["round"] is None:
            self._check_run(content["run"], offered)
            _restore(content, trainer, module)
            self._parked, self._ahead = RandomState.of(content["random"]), offered
            return
        remembered = Round(**content["round"])
        self._check(remembered, offered)
        _restore(content, trainer, module)
        if content["random_at_start"] is not None:
            self._at_start = RandomState.of(content["random_at_start"])
            self._at_start.restore()
        self._again = remembered, RandomState.of(content["random"])
        if offered.number > remembered.number:
            self._ahead = offered

    def pull(self) -> Round:
        """Return the next round, to be committed; after a restart, the one to train again."""
        if self._again is not None:
            (current, generators), self._again = self._again, None
            generators.restore()
            self._last = current
            return current
        if self._parked is not None:
            self._parked.restore()
            self._parked = None
        try:
            current, self._ahead = self._ahead or self._exchange.pull(), None
        except TurnOver:
            self._park()
            raise
        self._last = self._new = current
        return current

    def commit(self) -> None:
        """Commit the round that was pulled last, if it is new.

        To be called once it was let in: what is in the memory is trusted after a restart.
        """
        current, self._new = self._new, None
        # Nothing is trained after the final round, so there is nothing to bring back.
        if current is not None and not current.final:
            self._commit(current)

    def push(self, update: SiteUpdate) -> None:
        """Send the update, unless the server has gone on with it already."""
        if self._ahead is None:
            self._exchange.push(update)

    def _park(self) -> None:
        """Commit what the next round starts from, before it is known.

        Not after the last one: a trainer that is done cannot go on, so it trains that again.
        """
        last = self._last
        assert last is not None, "who is asked to end has had a round"
        if last.number < last.total:
            content = {
                "round": None,
                "run": last.run,
                "random": RandomState.capture().record(),
                **_what_training_depends_on(self._trainer, self._module),
            }
            write_commit(self._folder, last.number + 1, content, kind=KIND)

    def _commit(self, current: Round) -> None:
        trainer = self._trainer
        if fault := _not_remembered(trainer):
            msg = f"site {self._site}, round {current.number}: a memory on disk {fault}"
            raise ConfigError(msg)
        first = trainer.current_epoch == 0 and self._at_start is not None
        content = {
            "round": {
                each.name: getattr(current, each.name) for each in fields(current) if each.init
            },
            "random": RandomState.capture().record(),
            "random_at_start": self._at_start.record() if first and self._at_start else None,
            **_what_training_depends_on(trainer, self._module),
        }
        write_commit(self._folder, current.number, content, kind=KIND)

    def _number_for(self, offered: Round) -> int:
        """Return the commit from which the offered round is reached."""
        committed = commits_in(self._folder)
        reached = [number for number in committed if number <= offered.number]
        if not reached:
            msg = (
                f"site {self._site}: the server hands out round {offered.number}, this site was in "
                f"round {committed[-1]} ({self._folder}); resume the server from its own last "
                "round, or name another folder to begin anew"
            )
            raise FederationError(msg)
        return reached[-1]

    def _check(self, remembered: Round, offered: Round) -> None:
        self._check_run(remembered.run, offered)
        if remembered.number == offered.number and remembered.base != offered.base:
            fault = f"has another global model of round {offered.number} (digest "
            fault += f"{remembered.base[:12]}) than the server ({offered.base[:12]})"
            raise self._foreign(fault)

    def _check_run(self, run: str, offered: Round) -> None:
        if run != offered.run:
            fault = f"is of run {run!r}, the server's is {offered.run!r}"
            raise self._foreign(fault)

    def _foreign(self, fault: str) -> FederationError:
        msg = (
            f"site {self._site}: the memory in {self._folder} {fault}; name another folder to "
            "begin anew"
        )
        return FederationError(msg)


def _not_remembered(trainer: pl.Trainer) -> str | None:
    """Say what training depends on that no commit can hold, else None."""
    if getattr(trainer.train_dataloader, "persistent_workers", False):
        return (
            "cannot hold the random numbers of loader workers that live on from epoch to epoch; "
            "set persistent_workers=False"
        )
    progress: Any = trainer.fit_loop.epoch_progress.current
    if progress.started != progress.completed:
        return "needs rounds of whole epochs, and this one starts inside an epoch"
    return None


def _what_training_depends_on(trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
    return {
        # Of the global model it needs nothing; of tensors that never leave, all.
        "module": state_of(module),
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "schedulers": [each.scheduler.state_dict() for each in trainer.lr_scheduler_configs],
        "precision": trainer.precision_plugin.state_dict(),
        "loops": trainer.fit_loop.state_dict(),
        "callbacks": {
            each.state_key: state
            for each in trainer.callbacks  # type: ignore[attr-defined]
            if (state := each.state_dict())
        },
    }


def _restore(content: dict[str, Any], trainer: pl.Trainer, module: pl.LightningModule) -> None:
    module.load_state_dict(content["module"])
    for optimizer, state in zip(trainer.optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    for each, state in zip(trainer.lr_scheduler_configs, content["schedulers"], strict=True):
        each.scheduler.load_state_dict(state)
    trainer.precision_plugin.load_state_dict(content["precision"])
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if callback.state_key in content["callbacks"]:
            callback.load_state_dict(content["callbacks"][callback.state_key])
    loop = trainer.fit_loop
    loop.load_state_dict(content["loops"])
    # The commit was made at the start of an epoch, which starts again: nothing is in the middle.
    for progress in (loop.epoch_progress.current, loop.epoch_progress.total):
        progress.reset_on_restart()
    loop.restarting = False
    loop.on_iteration_done()
