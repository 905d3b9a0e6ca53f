"""What an aggregator says beside its prediction, for the loss to use in training.

An aggregator never sees a target, so it cannot hold a loss. It states, in training only, what else
could be asked of it; `histofed.mil.auxiliary` turns each term into a number, times its weight.

Suffixes: B bags, C classes, G groups of bags, K further predictions or chosen instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class BagTerm:
    """Further predictions of the bag's own target; the loss of the task applies to each.

    Attributes
    ----------
    logits_BKC
        K predictions of the bag, each like ``MILOutput.logits_BC``.
    """

    logits_BKC: Tensor
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceTerm:
    """Instances of each bag that should, or should not, speak for a class.

    In the group of the bag's own class the ``top`` instances are taken for positive and the others
    for negative. In every other group nothing is known, unless classes exclude one another: then
    its ``top`` instances are negative.

    Attributes
    ----------
    logits_BGK
        How much instance k speaks for group g. A binary task has two groups, negative and positive.
    top_K
        True on the instances that the bag's class should explain.
    valid_BGK
        False where a bag has too few instances.
    exclusive
        Whether a bag of one class holds no instance of another.
    """

    logits_BGK: Tensor
    top_K: Tensor
    valid_BGK: Tensor
    exclusive: bool
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """A number per bag that should be small, whatever the target."""

    value_B: Tensor
    weight: float


Auxiliary = BagTerm | InstanceTerm | Penalty
