"""The guard: the gate's counterpart at a site, for what comes in and for what may leave.

A server may be wrong, or turned. A model that it crafts reads patients out of the updates (Shi et
al. 2024, MediLeak, arXiv:2407.09972), and an honest model gives away a slide that it was trained on
alone: after one step of gradient descent, the change of a linear head's weights divided by that of
its bias *is* the embedding of the slide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.core.words import counted
from histofed.errors import ConfigError, FederationError
from histofed.federation.gate import infinite_in, moved_too_far
from histofed.federation.limits import MAX_MOVE
from histofed.federation.state import first_mismatch

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from histofed.federation.exchange import Exchange
    from histofed.federation.messages import Round, SiteUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePolicy:
    """What a hospital lets in and out; its own choice, not the server's.

    Attributes
    ----------
    min_patients
        Fewest patients that a model was trained on between its coming and its leaving. An update of
        n patients is about a weighted mean of what each would give alone; 5 is a common smallest
        cell of published tables on health.
    min_steps
        Fewest optimizer steps of that time. More steps blur more, but a hospital of one batch, and
        the partial likelihood of survival, take one a round: with `min_patients` in it, that is a
        mean of patients already. Raise it where a hospital has hundreds.
    max_change
        How far the global model may move in a round, times its own norm (at least 1). Rounds of
        attention models move it by less than a tenth; 10 leaves room for server rules with large
        steps, and none for numbers that overflow what is trained from them.
    """

    min_patients: int = 5
    min_steps: int = 1
    max_change: float = MAX_MOVE

    def __post_init__(self) -> None:
        """Refuse a policy that means nothing."""
        for name in ("min_patients", "min_steps"):
            if (value := getattr(self, name)) < 1:
                msg = f"{name} must be at least 1, got {value}"
                raise ConfigError(msg)
        if not self.max_change > 0:
            msg = f"max_change must be more than 0, got {self.max_change}"
            raise ConfigError(msg)


class GuardedExchange:
    """An exchange that refuses what a hospital's policy does not allow.

    That the first model fits the site's module in names, shapes and dtypes is for
    `histofed.federation.state.load_state`; all later ones must be like the first.
    """

    def __init__(self, exchange: Exchange, *, site: str, policy: SitePolicy | None = None) -> None:
        self._exchange = exchange
        self._site = site
        self.policy = policy or SitePolicy()
        self._last: Round | None = None
        self._in_epoch = self._trained_on = 0

    def pull(self) -> Round:
        """Return the next round.

        Raises
        ------
        FederationError
            It is of another run or goes back, its tensors are not those of the rounds before, or
            the model is not finite or moved further than the policy allows.
        """
        current = self._exchange.pull()
        fault = _value_fault(current)
        if self._last is not None:
            fault = self._envelope_fault(current, self._last) or fault
            fault = fault or moved_too_far(current.state, self._last.state, self.policy.max_change)
        if fault:
            msg = (
                f"site {self._site}, round {current.number} of {current.total}: {fault}; nothing "
                "was trained. Ask who runs the server"
            )
            raise FederationError(msg)
        self._last = current
        self._in_epoch = self._trained_on = 0
        return current

    def saw(self, trainer: pl.Trainer, batch_idx: int) -> None:
        """Count the patients of a batch; of several epochs, the one with most counts."""
        if batch_idx == 0:
            self._in_epoch = 0
        # A loader that does not say how large its batches are may have one patient in each.
        self._in_epoch += getattr(trainer.train_dataloader, "batch_size", None) or 1
        self._trained_on = max(self._trained_on, self._in_epoch)

    def push(self, update: SiteUpdate) -> None:
        """Send an update.

        Raises
        ------
        FederationError
            It has tensors that did not come in, or was trained on too few patients or steps: then
            it would show what it was trained on.
        """
        assert self._last is not None, "a site pulls before it pushes"
        # Without tensors (the final evaluation) there is nothing to reconstruct from.
        leaves = update.state or update.controls
        if leaves and (fault := self._leak(update, self._last)):
            msg = (
                f"site {self._site}, round {update.round} of {self._last.total}: nothing was sent: "
                f"{fault}"
            )
            raise FederationError(msg)
        self._exchange.push(update)

    def _leak(self, update: SiteUpdate, current: Round) -> str | None:
        fault = first_mismatch(update.state, current.state)
        if fault := fault or first_mismatch(update.controls, current.controls):
            return f"{fault}; only tensors that came in go out"
        # Batches are counted full, which the last one of an epoch need not be.
        trained_on = min(self._trained_on, update.n_patients)
        if trained_on < self.policy.min_patients:
            return (
                f"the update was made from {counted(trained_on, 'patient')}, min_patients is "
                f"{self.policy.min_patients}: an update of few patients shows their slides. Take "
                "part with more patients, or lower it where nothing is secret (simulation)"
            )
        if update.n_steps < self.policy.min_steps:
            return (
                f"the update was made in {counted(update.n_steps, 'optimizer step')}, min_steps is "
                f"{self.policy.min_steps}; train longer in a round (smaller batches, more epochs)"
            )
        return None

    def _envelope_fault(self, current: Round, last: Round) -> str | None:
        if current.run != last.run:
            return f"it is of run {current.run!r}, this site takes part in {last.run!r}"
        if current.number <= last.number:
            return f"came after round {last.number}; rounds only go up"
        for what, new, old in (
            ("the global model", current.state, last.state),
            ("controls", current.controls, last.controls),
        ):
            if fault := first_mismatch(new, old):
                return f"{what}: other tensors than in round {last.number}: {fault}"
        return None


def _value_fault(current: Round) -> str | None:
    fault = infinite_in(current.state) or infinite_in(current.controls)
    return fault and f"what came in is damaged: {fault}"
