r"""A patient's clinical covariates beside what an aggregator made of the tiles.

`Concatenation`:

.. math:: \mathrm{logit} = C\,[z, x]

so that image and covariates add up, as in a regression. `GatedFusion` (the gated unit of two
modalities of Arevalo, Solorio, Montes-y-Gomez and Gonzalez 2017, arXiv:1702.01992; with biases):

.. math::
    h &= g \odot \tanh(W_z z) + (1 - g) \odot \tanh(W_x x) \\
    g &= \sigma(W_g\,[z, x]), \qquad \mathrm{logit} = C h

so that either decides how much the other counts. z is the aggregator's embedding, x the covariates
as `histofed.core.clinical_encoding` makes them. The aggregator's own logits are not used, and what
alone makes them is not trained.

Suffixes: B bags, C logits, E embedding, F covariates, H fused.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from histofed.mil.aggregators import Aggregator, MILOutput


class Fusion(nn.Module):
    """From an embedding and covariates to logits.

    Parameters
    ----------
    embedding_dim
        Length of the aggregator's embedding, E.
    n_covariates
        Numbers of a patient, F.
    n_classes
        Logits per bag, C.
    fused_dim
        Length of what both are fused into, H.
    """

    def __init__(
        self, embedding_dim: int, n_covariates: int, n_classes: int, *, fused_dim: int
    ) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.n_covariates = n_covariates
        self.classify = nn.Linear(fused_dim, n_classes)

    @abstractmethod
    def fuse(self, embedding_BE: Tensor, clinical_BF: Tensor) -> Tensor:
        """Return one vector of both, ``(B, H)``."""

    def forward(self, output: MILOutput, clinical_BF: Tensor) -> MILOutput:
        """Return logits and embedding of both; the attention is the aggregator's.

        No exact share of a tile is known: the logit is not a sum over tiles any more.
        """
        fused_BH = self.fuse(output.embedding_BE, clinical_BF)
        return replace(
            output,
            logits_BC=self.classify(fused_BH),
            embedding_BE=fused_BH,
            evidence_BNC=None,
        )


class Concatenation(Fusion):
    """Image and covariates in a row; they add up in the logit."""

    def __init__(self, embedding_dim: int, n_covariates: int, n_classes: int) -> None:
        fused_dim = embedding_dim + n_covariates
        super().__init__(embedding_dim, n_covariates, n_classes, fused_dim=fused_dim)

    def fuse(self, embedding_BE: Tensor, clinical_BF: Tensor) -> Tensor:
        """Return both in a row."""
        return torch.cat([embedding_BE, clinical_BF.to(embedding_BE.dtype)], dim=-1)


class GatedFusion(Fusion):
    """A gate for each number of the fused vector, which is as long as the embedding."""

    def __init__(self, embedding_dim: int, n_covariates: int, n_classes: int) -> None:
        super().__init__(embedding_dim, n_covariates, n_classes, fused_dim=embedding_dim)
        self.of_image = nn.Linear(embedding_dim, embedding_dim)
        self.of_covariates = nn.Linear(n_covariates, embedding_dim)
        self.gate = nn.Linear(embedding_dim + n_covariates, embedding_dim)

    def fuse(self, embedding_BE: Tensor, clinical_BF: Tensor) -> Tensor:
        """Return the gated mean of both."""
        clinical = clinical_BF.to(embedding_BE.dtype)
        gate_BH = self.gate(torch.cat([embedding_BE, clinical], dim=-1)).sigmoid()
        image_BH, clinical_BH = self.of_image(embedding_BE), self.of_covariates(clinical)
        return gate_BH * image_BH.tanh() + (1 - gate_BH) * clinical_BH.tanh()


FUSIONS: dict[str, type[Concatenation | GatedFusion]] = {
    "concat": Concatenation,
    "gated": GatedFusion,
}
"""Name, as in the option ``clinical.fusion``, -> class."""


def fusion_for(aggregator: Aggregator, kind: str, *, n_covariates: int) -> Fusion:
    """Return an untrained fusion for the embedding of an aggregator."""
    return FUSIONS[kind](embedding_dim(aggregator), n_covariates, aggregator.n_classes)


@torch.no_grad()
def embedding_dim(aggregator: Aggregator) -> int:
    """Return the length of an aggregator's embedding: that of a bag of one tile."""
    training = aggregator.training
    tile = torch.zeros(1, 1, aggregator.dim)
    # Outside of training nothing is drawn, so the weights made after this stay the same.
    found = aggregator.eval()(tile, torch.ones(1, 1, dtype=torch.bool))
    aggregator.train(training)
    return int(found.embedding_BE.shape[-1])
