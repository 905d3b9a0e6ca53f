"""The callback that makes an ordinary training run a site of a federation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl

from histofed.core.words import counted
from histofed.errors import ConfigError, FederationError
from histofed.federation.callbacks.checks import (
    Unit,
    check_length,
    check_rules,
    check_trainer,
)
from histofed.federation.callbacks.local_rule import rules_of
from histofed.federation.callbacks.measuring import LossMean, metrics_of
from histofed.federation.guard import GuardedExchange
from histofed.federation.history import RoundRecord
from histofed.federation.private import private_names
from histofed.federation.site_memory import RememberedExchange
from histofed.federation.state import load_state, state_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from torch import Tensor

    from histofed.federation.callbacks.measuring import Evaluate
    from histofed.federation.exchange import Exchange
    from histofed.federation.guard import SitePolicy
    from histofed.federation.messages import Round


class FederatedCallback(pl.Callback):
    """Trains one site inside one ``trainer.fit``, round after round.

    A round opens before the first of its ``every`` epochs or steps: the global model is pulled,
    loaded strictly, and evaluated on this site's own selection data, so the metrics of every round
    describe the *global* model. It closes after the last of them: the site's model is pushed with
    those metrics and the mean training loss. Rounds in which other sites train are answered with
    the metrics alone. When training ends the final round is pulled, evaluated and reported; its
    model is what the module holds when ``fit`` returns.

    Rules of local training (`LocalRule`: FedProx, SCAFFOLD) stand beside this callback in the
    Trainer's list, and are told when a round begins and ends.

    The callback draws no random number, and with ``keep_optimizer`` a federation of one site is
    plain training, bit for bit. Learning-rate schedules are not touched: they see the epochs of one
    long run.

    Parameters
    ----------
    exchange
        The door to the server; `pull` may wait.
    site
        Name of this hospital.
    n_patients
        Patients in the training data.
    every, unit
        How long a round is: so many local ``epochs``, or optimizer ``steps``. A round of steps may
        begin and end inside an epoch, and sites of any size do the same work in it.
    private
        Patterns of the names of tensors that never leave this site and are never overwritten, as
        ``"head.*"`` (`histofed.federation.private`). The global model has none of them.
    keep_optimizer
        Whether the optimizer's memory (momentum, second moments) outlives a round. By default it is
        forgotten, since it belongs to a model that the new global one has replaced.
    evaluate
        Called with the module in eval mode without gradients; returns the metrics of the model on
        the site's selection data. It moves its batches to ``module.device`` itself, and leaves out
        a metric that cannot be computed. None: nothing is evaluated.
    memory
        Folder of this run and site where each round is committed before it is trained, so that a
        process that was killed, started again with the same folder, goes on to the same bits. None:
        nothing is kept.
    policy
        What this hospital lets in and out.

    Attributes
    ----------
    history
        One `RoundRecord` per answered round, with this site only.

    Raises
    ------
    ConfigError
        ``every`` is below 1, the trainer cannot train all rounds, or a pattern in ``private``
        matches nothing; or a memory is asked for of rounds that end inside an epoch.
    FederationError
        The global model does not fit the module, training ends inside a round, or strategy and
        local rules do not belong together.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        site: str,
        n_patients: int,
        every: int = 1,
        unit: Unit = "epochs",
        private: Collection[str] = (),
        keep_optimizer: bool = False,
        evaluate: Evaluate | None = None,
        memory: Path | None = None,
        policy: SitePolicy | None = None,
    ) -> None:
        super().__init__()
        if every < 1:
            msg = f"site {site}: every (local {unit} per round) must be at least 1, got {every}"
            raise ConfigError(msg)
        if memory is not None and unit == "steps":
            msg = (
                f"site {site}: a memory on disk needs rounds of whole epochs, found rounds of "
                f"{counted(every, 'step')}; count rounds in epochs, or keep no memory"
            )
            raise ConfigError(msg)
        self._memory = None
        if memory is not None:
            exchange = self._memory = RememberedExchange(exchange, memory, site=site)
        self.exchange = GuardedExchange(exchange, site=site, policy=policy)
        self.site = site
        self.n_patients = n_patients
        self.every = every
        self.unit = unit
        self.private = private
        self.keep_optimizer = keep_optimizer
        self.evaluate = evaluate
        self.history: list[RoundRecord] = []
        self._round: Round | None = None
        self._left = 0
        self._private: frozenset[str] = frozenset()
        self._incoming: dict[str, float] = {}
        self._losses = LossMean()
        self._steps_before = self._steps_done = 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on where a killed process was."""
        if self._memory is not None:
            self._memory.begin(trainer, pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a trainer that ends or counts otherwise than by rounds in one process."""
        check_trainer(trainer, site=self.site)
        self._private = private_names(self.private, pl_module.state_dict().keys())

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the next round, where this epoch is its first."""
        if self._left == 0:
            self._open_round(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Keep the training loss; close the round and open the next, where its steps are done."""
        self.exchange.saw(trainer, batch_idx)
        self._losses.add(outputs, accumulated=trainer.accumulate_grad_batches)
        if self.unit == "steps":
            # A batch that steps several optimizers may go beyond the last step of the round.
            self._left = max(self.every - (trainer.global_step - self._steps_before), 0)
            if self._left == 0:
                self._close_round(trainer, pl_module)
                # Now, not before the next batch: Lightning could not stop there any more.
                if not trainer.should_stop:
                    self._open_round(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the round, where this epoch was its last."""
        if self.unit == "epochs" and not self._current().final:
            self._left -= 1
            if self._left == 0:
                self._close_round(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Load and evaluate the final global model."""
        current = self._current()
        if current.final:
            return
        if self._left or current.number < current.total:
            msg = (
                f"site {self.site}: training ended in round {current.number} of {current.total} "
                f"with {counted(self._left, 'local ' + self.unit[:-1])} of it to go; let the "
                "rounds decide the end: no EarlyStopping, no max_time"
            )
            raise FederationError(msg)
        self._open_round(trainer, pl_module)
        if not self._current().final:
            msg = (
                f"site {self.site}: round {current.number} of {current.total} was the last, but "
                f"the server goes on with {self._current().number} of {self._current().total}; "
                "the number of rounds is fixed when a run starts"
            )
            raise FederationError(msg)

    def _open_round(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take the next round to train; answer those before it that only ask for metrics."""
        current = self._take_round(trainer, module)
        while not current.trains(self.site):
            self._push(current, {}, self._incoming)
            if current.final:
                trainer.should_stop = True
                return
            current = self._take_round(trainer, module)
        rules = rules_of(trainer)
        check_rules(rules, current, where=self._where(current))
        for rule in rules:
            rule.open_round(trainer, module, current)
        self._left = self.every
        self._losses.clear()

    def _take_round(self, trainer: pl.Trainer, module: pl.LightningModule) -> Round:
        """Pull, check, load, evaluate."""
        last = self._round
        if last is not None and last.final:
            msg = (
                f"site {self.site}: the federation is over, but the trainer goes on; unset "
                "min_epochs and min_steps, and use a new callback for another run"
            )
            raise FederationError(msg)
        current = self.exchange.pull()
        where = self._where(current)
        check_length(trainer, current, self.every, self.unit, site=self.site)
        if self._memory is not None:
            self._memory.commit()
        load_state(module, current.state, where=where, private=self._private)
        if not self.keep_optimizer:
            for optimizer in trainer.optimizers:
                optimizer.state.clear()
        self._round = current
        self._incoming = metrics_of(module, self.evaluate)
        self._steps_before, self._steps_done = trainer.global_step, 0
        return current

    def _close_round(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        current = self._current()
        self._steps_done = trainer.global_step - self._steps_before
        controls: dict[str, Tensor] = {}
        for rule in rules_of(trainer):
            controls |= rule.close_round(trainer, module)
        state = {
            name: value for name, value in state_of(module).items() if name not in self._private
        }
        self._push(current, state, {**self._losses.metrics(), **self._incoming}, controls)
        # With a larger max_epochs, the final round is what remains, not more training.
        if current.number == current.total:
            trainer.should_stop = True

    def _push(
        self,
        current: Round,
        state: dict[str, Tensor],
        metrics: dict[str, float],
        controls: dict[str, Tensor] | None = None,
    ) -> None:
        self.exchange.push(
            current.answer(
                self.site,
                state,
                n_patients=self.n_patients,
                n_steps=self._steps_done,
                controls=controls,
                metrics=metrics,
            )
        )
        record = RoundRecord(
            number=current.number,
            total=current.total,
            metrics={self.site: metrics},
            n_patients={self.site: self.n_patients},
        )
        self.history.append(record)

    def _where(self, current: Round) -> str:
        return f"site {self.site}, round {current.number} of {current.total}"

    def _current(self) -> Round:
        assert self._round is not None, "hooks run in Lightning's order"
        return self._round
