"""What every objective can do.

Suffixes: B bags, N instances, C logits, K numbers of a label, V numbers of a prediction, G classes,
P patients.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import torch
from torch import nn

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

Sums: TypeAlias = "dict[str, Tensor]"
"""Name -> sum over patients, float64."""


class Objective(nn.Module):
    """From logits to a loss, and to a prediction.

    What it learns from the training patients (`prepare`, `watch`) is held in buffers, which are
    part of the model's weights.

    Attributes
    ----------
    n_logits
        That the aggregator must give, C.
    whole_fold
        Whether a step must see all patients at once, since a patient's loss depends on the others.
    """

    whole_fold: ClassVar[bool] = False

    def __init__(self, n_logits: int) -> None:
        super().__init__()
        self.n_logits = n_logits

    @abstractmethod
    def loss(self, logits_BC: Tensor, target_BK: Tensor) -> Tensor:
        """Return each patient's loss, ``(B,)``; their mean is the loss of the task."""

    @abstractmethod
    def outputs(self, logits_BC: Tensor) -> Tensor:
        """Return the numbers of each prediction, ``(B, V)``, as ``Task.output_names`` has them."""

    @abstractmethod
    def tile_heads(self, logits_BNC: Tensor) -> dict[str, Tensor]:
        """Return what to draw of tiles as bags of their own: head -> ``(B, N)``."""

    def members(self, target_BK: Tensor) -> Tensor | None:
        """Return 1 where a bag belongs to a class and 0 elsewhere, ``(B, G)``.

        Classes exclude one another; None where a task has no such classes.
        """
        return None

    def sums(self, target_PK: Tensor) -> Sums:
        """Return what there is to learn from labels, as sums that hospitals can add up."""
        return {"n_patients": torch.tensor(float(len(target_PK)), dtype=torch.float64)}

    def prepare(self, sums: Sums) -> None:
        """Learn what the loss needs from the sums over all training patients."""

    def watch(self, logits_BC: Tensor) -> None:
        """Learn what a prediction needs from the logits of a training step."""

    def balance(self, sums: Sums) -> None:
        """Weigh patients from now on so that every class counts alike.

        Raises
        ------
        ConfigError
            The task has no classes that exclude one another.
        """
        raise without_classes()


class ClassObjective(Objective):
    """An objective of a task of which exactly one class is right."""

    class_weight_G: Tensor

    def __init__(self, n_logits: int, n_classes: int) -> None:
        super().__init__(n_logits)
        self.register_buffer("class_weight_G", torch.ones(n_classes))

    @abstractmethod
    def members(self, target_BK: Tensor) -> Tensor:
        """Return 1 where a bag belongs to a class and 0 elsewhere, ``(B, G)``."""

    def sums(self, target_PK: Tensor) -> Sums:
        """Return the number of patients, and that of each class."""
        counts_G = self.members(target_PK).double().sum(dim=0)
        return {**super().sums(target_PK), "class_count_G": counts_G}

    def balance(self, sums: Sums) -> None:
        """Weigh patients from now on by one over the frequency of their class.

        The mean over these patients is 1. A class that none of them belongs to counts as one that
        a single patient does.
        """
        counts_G = sums["class_count_G"]
        n_there = (counts_G > 0).sum()
        self.class_weight_G.copy_(sums["n_patients"] / (n_there * counts_G.clamp(min=1)))

    def weight(self, target_BK: Tensor) -> Tensor:
        """Return each patient's weight, ``(B,)``."""
        return self.members(target_BK) @ self.class_weight_G


def without_classes() -> ConfigError:
    """Return the error of balancing a task without classes that exclude one another."""
    msg = "trainer.balance needs classes that exclude one another, which this task has not; leave "
    msg += "it at trainer.balance=none"
    return ConfigError(msg)
