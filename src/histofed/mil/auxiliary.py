"""The loss of what an aggregator says beside its prediction.

Suffixes: B bags, C classes, G groups of bags, K further predictions or chosen instances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import binary_cross_entropy_with_logits

from histofed.errors import ConfigError
from histofed.mil.aggregators.auxiliary import Auxiliary, BagTerm, InstanceTerm, Penalty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor


def auxiliary_loss(
    terms: Iterable[Auxiliary],
    *,
    bag_loss: Callable[[Tensor], Tensor],
    member_BG: Tensor | None,
) -> Tensor | float:
    """Return the weighted sum of the terms; 0 where there are none.

    Parameters
    ----------
    bag_loss
        Logits ``(B, C)`` -> loss of the task, averaged over bags.
    member_BG
        1 where a bag belongs to a group (negative and positive for a binary task), 0 elsewhere;
        None where the task has no classes.
    """
    total: Tensor | float = 0.0
    for term in terms:
        if isinstance(term, BagTerm):
            losses = [bag_loss(logits_BC) for logits_BC in term.logits_BKC.unbind(dim=1)]
            total = total + term.weight * sum(losses) / len(losses)
        elif isinstance(term, Penalty):
            total = total + term.weight * term.value_B.mean()
        else:
            total = total + term.weight * _instance_loss(term, member_BG)
    return total


def _instance_loss(term: InstanceTerm, member_BG: Tensor | None) -> Tensor:
    """Return the mean cross-entropy of the instances about which the bag's class says something."""
    if member_BG is None:
        msg = "this aggregator clusters tiles by the class of their patient, and the task has no "
        msg += "classes; choose another, for example aggregator=gated_abmil"
        raise ConfigError(msg)
    member_BG1 = member_BG.unsqueeze(-1).bool()
    known_BGK = (member_BG1 | (term.top_K & term.exclusive)) & term.valid_BGK
    target_BGK = (member_BG1 & term.top_K).to(term.logits_BGK.dtype)
    loss_BGK = binary_cross_entropy_with_logits(term.logits_BGK, target_BGK, reduction="none")
    # Each bag counts alike, however many of its instances were chosen.
    n_known_B = known_BGK.sum(dim=(1, 2)).clamp(min=1)
    return ((loss_BGK * known_BGK).sum(dim=(1, 2)) / n_known_B).mean()
