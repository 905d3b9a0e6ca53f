"""What every aggregator takes and gives.

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from histofed.mil.aggregators.projection import Tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histofed.mil.aggregators.auxiliary import Auxiliary


BAGS_AT_ONCE = 1024
"""Bags of one tile in one batch: some methods hold a matrix for each bag."""


@dataclass(frozen=True, slots=True)
class MILOutput:
    """What an aggregator makes of a batch of bags.

    Attributes
    ----------
    logits_BC
        One logit per class (one in all for a binary task).
    attention_BN
        Weight of each instance; sums to one over a bag's valid instances and is exactly 0 on
        padding. The mean over branches, heads or classes where a method has several. None where
        the method has no attention.
    embedding_BE
        One vector per bag.
    evidence_BNC
        The exact share of each instance in each logit: their sum over a bag, plus what the model
        says whatever the bag, is the logit. 0 on padding; None where the method has none.
    auxiliary
        What else the loss may ask of the method; always empty outside of training.
    """

    logits_BC: Tensor
    attention_BN: Tensor | None
    embedding_BE: Tensor
    evidence_BNC: Tensor | None = None
    auxiliary: tuple[Auxiliary, ...] = ()


# So that `torch.export` takes an aggregator as it is.
torch.export.register_dataclass(MILOutput, serialized_type_name="histofed.MILOutput")


class Aggregator(nn.Module):
    """Base of all aggregators. The loss is never in here.

    Features are standardised first, with statistics of the training tiles that are part of the
    weights (`standardise_with`); before that is called, nothing is changed.

    Parameters
    ----------
    dim
        Features per instance, D.
    n_classes
        Logits per bag, C.

    Attributes
    ----------
    counts_tiles
        Whether a bag with every tile twice is another bag to the method.
    uses_positions
        Whether the method looks at where tiles lie.
    needs_classes
        Whether training must know the class of a bag, of classes that exclude one another.
    """

    counts_tiles: ClassVar[bool] = False
    uses_positions: ClassVar[bool] = False
    needs_classes: ClassVar[bool] = False

    feature_mean_D: Tensor
    feature_std_D: Tensor

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.dim = dim
        self.n_classes = n_classes
        self.register_buffer("feature_mean_D", torch.zeros(dim))
        self.register_buffer("feature_std_D", torch.ones(dim))

    @abstractmethod
    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate tiles; every bag has at least one valid instance.

        Methods that use positions take ``cells_BN3`` (see `forward`) as well.
        """

    def forward(
        self, features_BND: Tensor, valid_BN: Tensor, cells_BN3: Tensor | None = None
    ) -> MILOutput:
        """Standardise and aggregate; every bag has at least one valid instance.

        Parameters
        ----------
        cells_BN3
            Where tiles lie: number of the slide among the bag's, column, row. None where features
            came without positions. Only methods that use positions look at it.
        """
        positions = {"cells_BN3": cells_BN3} if self.uses_positions else {}
        tiles = Tiles(features_BND, valid_BN, self.feature_mean_D, self.feature_std_D)
        return self.aggregate(tiles, valid_BN, **positions)

    def standardise_with(self, mean_D: Tensor, std_D: Tensor) -> None:
        """Standardise features with these statistics from now on."""
        self.feature_mean_D.copy_(mean_D)
        self.feature_std_D.copy_(std_D)

    def instance_logits(self, features_BND: Tensor) -> Tensor:
        """Return the logits ``(B, N, C)`` that each instance would get as a bag of its own."""
        B, N, _ = features_BND.shape
        logits = [output.logits_BC for output in self.each_alone(features_BND)]
        return torch.cat(logits).reshape(B, N, self.n_classes)

    def each_alone(self, features_BND: Tensor) -> Iterator[MILOutput]:
        """Yield what instances give as bags of their own, some at a time, in their order."""
        B, N, D = features_BND.shape
        for alone in features_BND.reshape(B * N, 1, D).split(BAGS_AT_ONCE):
            yield self(alone, torch.ones_like(alone[..., 0], dtype=torch.bool))
