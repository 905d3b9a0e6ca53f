"""What a site asks of its trainer and of its rules before it trains a round."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from histofed.core.words import counted
from histofed.errors import ConfigError, FederationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytorch_lightning as pl

    from histofed.federation.callbacks.local_rule import LocalRule
    from histofed.federation.messages import Round

Unit = Literal["epochs", "steps"]
"""What the length of a round is counted in."""


def check_trainer(trainer: pl.Trainer, *, site: str) -> None:
    """Refuse a trainer of several processes, or one that ends by itself.

    Raises
    ------
    ConfigError
        Names the option.
    """
    if trainer.world_size != 1:
        msg = (
            f"site {site}: trainer.devices gives {trainer.world_size} processes; a site trains in "
            "one (trainer.devices=1)"
        )
        raise ConfigError(msg)
    if trainer.max_steps != -1:
        msg = (
            f"site {site}: trainer.max_steps is {trainer.max_steps}, but the rounds decide the "
            "end; leave it at -1"
        )
        raise ConfigError(msg)


def check_length(trainer: pl.Trainer, current: Round, every: int, unit: Unit, *, site: str) -> None:
    """Refuse a trainer that would end before the rounds do.

    Raises
    ------
    ConfigError
        Names the epochs that there are and that are needed.
    """
    todo = (current.total - current.number + 1) * every
    needed: float = trainer.current_epoch + todo
    if unit == "steps" and trainer.num_training_batches != math.inf:
        per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        needed = math.ceil((trainer.global_step + todo) / per_epoch)
    elif unit == "steps":
        needed = 0  # an epoch without end holds any number of steps
    if trainer.max_epochs not in (None, -1) and trainer.max_epochs < needed:
        msg = (
            f"site {site}: trainer.max_epochs is {trainer.max_epochs}, but "
            f"{counted(current.total, 'round')} of {counted(every, 'local ' + unit[:-1])} need "
            f"{needed}; set max_epochs to {needed} or more, or -1"
        )
        raise ConfigError(msg)


def check_rules(rules: Sequence[LocalRule], current: Round, *, where: str) -> None:
    """Refuse local rules and a strategy of which one waits for the other.

    Raises
    ------
    FederationError
        Controls that no rule takes, or a rule that takes controls and is given none.
    """
    takers = [type(rule).__name__ for rule in rules if rule.takes_controls]
    if current.controls and not takers:
        msg = (
            f"{where}: the strategy hands out controls, and no local rule takes them; put "
            "ScaffoldCorrection into the Trainer beside FederatedCallback"
        )
        raise FederationError(msg)
    if takers and not current.controls:
        msg = (
            f"{where}: {', '.join(takers)} needs controls, and the strategy hands out none; "
            "choose strategy=scaffold at the server, or leave the rule out"
        )
        raise FederationError(msg)
