"""The callback that makes an ordinary training run a site of a federation."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from histofed.core.words import counted
from histofed.errors import ConfigError, FederationError
from histofed.federation.history import RoundRecord
from histofed.federation.messages import SiteUpdate
from histofed.federation.random_state import undisturbed
from histofed.federation.state import load_state, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from histofed.federation.exchange import Exchange
    from histofed.federation.messages import Round

    Evaluate = Callable[[pl.LightningModule], Mapping[str, float]]


class FederatedCallback(pl.Callback):
    """Trains one site inside one ``trainer.fit``, round after round.

    A round opens before the first of its ``every`` epochs: the global model is pulled, loaded
    strictly, and evaluated on this site's own selection data, so the metrics of every round
    describe the *global* model. It closes after the last of them: the site's model is pushed with
    those metrics and the mean training loss. When training ends the final round is pulled,
    evaluated and reported; its model is what the module holds when ``fit`` returns.

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
    every
        Local epochs per round.
    keep_optimizer
        Whether the optimizer's memory (momentum, second moments) outlives a round. By default it is
        forgotten, since it belongs to a model that the new global one has replaced.
    evaluate
        Called with the module in eval mode without gradients; returns the metrics of the model on
        the site's selection data. It moves its batches to ``module.device`` itself, and leaves out
        a metric that cannot be computed. None: nothing is evaluated.

    Attributes
    ----------
    history
        One `RoundRecord` per answered round, with this site only.

    Raises
    ------
    ConfigError
        ``every`` is below 1, or the trainer cannot train all rounds.
    FederationError
        The global model does not fit the module, or training ends inside a round.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        site: str,
        n_patients: int,
        every: int = 1,
        keep_optimizer: bool = False,
        evaluate: Evaluate | None = None,
    ) -> None:
        super().__init__()
        if every < 1:
            msg = f"site {site}: every (local epochs per round) must be at least 1, got {every}"
            raise ConfigError(msg)
        self.exchange = exchange
        self.site = site
        self.n_patients = n_patients
        self.every = every
        self.keep_optimizer = keep_optimizer
        self.evaluate = evaluate
        self.history: list[RoundRecord] = []
        self._round: Round | None = None
        self._epochs_left = 0
        self._incoming: dict[str, float] = {}
        self._losses: list[Tensor] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a trainer that counts otherwise than in epochs of one process."""
        if trainer.world_size != 1:
            msg = (
                f"site {self.site}: trainer.devices gives {trainer.world_size} processes; a site "
                "trains in one (trainer.devices=1)"
            )
            raise ConfigError(msg)
        if trainer.max_steps != -1:
            msg = (
                f"site {self.site}: trainer.max_steps is {trainer.max_steps}, but a round is "
                "counted in epochs; leave it at -1"
            )
            raise ConfigError(msg)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the next round, where this epoch is its first."""
        if self._epochs_left == 0:
            self._open_round(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Keep the training loss; Lightning has divided it by the accumulated batches."""
        loss = outputs if isinstance(outputs, Tensor) or outputs is None else outputs.get("loss")
        if isinstance(loss, Tensor):
            self._losses.append(loss.detach() * trainer.accumulate_grad_batches)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the round, where this epoch was its last."""
        current = self._current()
        if current.final:
            return
        self._epochs_left -= 1
        if self._epochs_left == 0:
            self._push(current, state_of(pl_module), {**self._train_loss(), **self._incoming})
            # With a larger max_epochs, the final round is what remains, not another epoch.
            if current.number == current.total:
                trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Load and evaluate the final global model."""
        current = self._current()
        if current.final:
            return
        if self._epochs_left or current.number < current.total:
            msg = (
                f"site {self.site}: training ended in round {current.number} of {current.total} "
                f"with {counted(self._epochs_left, 'local epoch')} of it to go; let the rounds "
                "decide the end: no EarlyStopping, no max_time"
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
        """Pull, check, load, evaluate; answer at once where nothing is left to train."""
        last = self._round
        if last is not None and last.final:
            msg = (
                f"site {self.site}: the federation is over, but the trainer goes on; unset "
                "min_epochs and min_steps, and use a new callback for another run"
            )
            raise FederationError(msg)
        current = self.exchange.pull()
        where = f"site {self.site}, round {current.number} of {current.total}"
        if last is not None and current.number <= last.number:
            msg = f"{where}: came after round {last.number}; rounds only go up"
            raise FederationError(msg)
        self._check_epochs(trainer, current)
        load_state(module, current.state, where=where)
        if not self.keep_optimizer:
            for optimizer in trainer.optimizers:
                optimizer.state.clear()
        self._round = current
        self._incoming = self._evaluate_on(module)
        if current.final:
            trainer.should_stop = True
            self._push(current, {}, self._incoming)
        else:
            self._epochs_left = self.every
            self._losses.clear()

    def _check_epochs(self, trainer: pl.Trainer, current: Round) -> None:
        needed = trainer.current_epoch + (current.total - current.number + 1) * self.every
        if trainer.max_epochs not in (None, -1) and trainer.max_epochs < needed:
            msg = (
                f"site {self.site}: trainer.max_epochs is {trainer.max_epochs}, but "
                f"{counted(current.total, 'round')} of {counted(self.every, 'local epoch')} need "
                f"{needed}; set max_epochs to {needed} or more, or -1"
            )
            raise ConfigError(msg)

    def _evaluate_on(self, module: pl.LightningModule) -> dict[str, float]:
        if self.evaluate is None:
            return {}
        with undisturbed(), _eval_mode(module), torch.no_grad():
            return {name: float(value) for name, value in self.evaluate(module).items()}

    def _train_loss(self) -> dict[str, float]:
        # Read once a round: asking the accelerator for every batch would make it wait each time.
        if not self._losses:
            return {}
        return {"train_loss": float(torch.stack(self._losses).float().mean())}

    def _push(self, current: Round, state: dict[str, Tensor], metrics: dict[str, float]) -> None:
        self.exchange.push(
            SiteUpdate(
                site=self.site,
                round=current.number,
                state=state,
                n_patients=self.n_patients,
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

    def _current(self) -> Round:
        assert self._round is not None, "hooks run in Lightning's order"
        return self._round


@contextmanager
def _eval_mode(module: pl.LightningModule) -> Iterator[None]:
    """Switch to eval mode, and afterwards back to each part's own mode: some may be frozen."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
