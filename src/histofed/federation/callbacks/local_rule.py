"""What a rule of local training is: a callback that is told of the rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytorch_lightning as pl

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from torch.nn import Parameter
    from torch.optim import Optimizer

    from histofed.federation.messages import Round


class LocalRule(pl.Callback):
    """A callback that changes how a site trains within a round.

    It stands in the Trainer's list beside `FederatedCallback`, which finds it there and tells it
    when a round begins and ends. Gradients are changed in ``on_before_optimizer_step``: once a
    step, after they have been accumulated and unscaled, before Lightning clips them.

    Attributes
    ----------
    takes_controls
        Whether it takes what the strategy hands out beside the model, and answers it.
    """

    takes_controls: ClassVar[bool] = False

    def open_round(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, current: Round
    ) -> None:
        """Begin a round; the module holds the global model."""

    def close_round(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Tensor]:
        """End the round; return the answer to its controls."""
        return {}


def rules_of(trainer: pl.Trainer) -> list[LocalRule]:
    """Return the local rules of a trainer, in its order."""
    found: Sequence[object] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return [each for each in found if isinstance(each, LocalRule)]


def about_to_step(
    module: pl.LightningModule, optimizer: Optimizer
) -> Iterator[tuple[str, Parameter]]:
    """Yield name and parameter of what this step changes.

    A parameter without a gradient, which the loss did not reach, is not stepped: no rule may move
    it. Tied parameters come under each of their names.
    """
    own = {id(each) for group in optimizer.param_groups for each in group["params"]}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if id(parameter) in own and parameter.grad is not None:
            yield name, parameter


def without_federation(rule: LocalRule) -> ConfigError:
    """Return the refusal of a rule that nobody told of a round."""
    return ConfigError(
        f"{type(rule).__name__} needs the global model of a round; put a FederatedCallback into "
        "the same Trainer"
    )
