r"""Nyström attention (Xiong et al. 2021, AAAI, arXiv:2102.03902) of tokens without an order.

.. math::
    \mathrm{softmax}(QK^\top)V \approx
    \mathrm{softmax}(Q\tilde K^\top)\; \mathrm{softmax}(\tilde Q\tilde K^\top)^+\;
    \mathrm{softmax}(\tilde QK^\top)V

Landmarks (tilde) are means of segments of queries and keys. The paper's segments are consecutive
tokens, which for tiles would be an accident of how they are stored. Here tokens are ordered by how
alike they are to the mean of their bag, so that a segment holds the usual or the unusual ones, and
segments are counted within each bag: neither the order of tiles, nor padding, nor the other bags of
a batch play in. (The pseudo-inverse is scaled matrix by matrix for the same reason; and the paper's
convolution along the sequence is left out.)

Suffixes: B bags, T tokens, E embedding, H heads, L landmarks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from histofed.mil.aggregators.blocks import masked_softmax
from histofed.mil.aggregators.tokens import Heads

ITERATIONS = 6
"""Of the pseudo-inverse, as in the paper."""


class NystromAttention(Heads):
    """Every token looks at every valid token through landmarks; linear in the tokens."""

    def __init__(self, dim: int, n_heads: int, *, n_landmarks: int) -> None:
        super().__init__(dim, n_heads)
        self.n_landmarks = n_landmarks

    def forward(self, tokens_BTE: Tensor, valid_BT: Tensor) -> Tensor:
        """Return ``(B, T, E)``."""
        query_BTE, key_BTE = self.query(tokens_BTE) * self.scale, self.key(tokens_BTE)
        to_landmark_BLT = self._segments(tokens_BTE.detach(), valid_BT)
        exists_BL = to_landmark_BLT.any(dim=-1)
        mean_BLT = to_landmark_BLT / to_landmark_BLT.sum(dim=-1, keepdim=True).clamp(min=1)
        mean_BLT = mean_BLT.to(query_BTE.dtype)
        query, key = self.split(query_BTE), self.split(key_BTE)
        near_query, near_key = self.split(mean_BLT @ query_BTE), self.split(mean_BLT @ key_BTE)
        landmarks_B11L, tokens_B11T = exists_BL[:, None, None], valid_BT[:, None, None]
        read = masked_softmax(query @ near_key.transpose(2, 3), landmarks_B11L)
        core = masked_softmax(near_query @ near_key.transpose(2, 3), landmarks_B11L)
        gather = masked_softmax(near_query @ key.transpose(2, 3), tokens_B11T)
        summary = gather @ self.split(self.value(tokens_BTE))
        return self.merge(read @ (pseudo_inverse(core, exists_BL).to(summary.dtype) @ summary))

    def _segments(self, tokens_BTE: Tensor, valid_BT: Tensor) -> Tensor:
        """Return which token belongs to which landmark, ``(B, L, T)``, as evenly as it goes."""
        n_tokens_B1 = valid_BT.sum(dim=1, keepdim=True)
        mean_B1E = (tokens_BTE * valid_BT.unsqueeze(-1)).sum(dim=1, keepdim=True)
        alike_BT = (tokens_BTE * (mean_B1E / n_tokens_B1.unsqueeze(-1))).sum(dim=-1)
        order_BT = alike_BT.masked_fill(~valid_BT, torch.inf).argsort(dim=1)
        rank_BT = order_BT.argsort(dim=1)
        segment_BT = rank_BT * n_tokens_B1.clamp(max=self.n_landmarks) // n_tokens_B1
        landmark_L1 = torch.arange(self.n_landmarks, device=valid_BT.device).unsqueeze(-1)
        return (segment_BT.unsqueeze(1) == landmark_L1) & valid_BT.unsqueeze(1)


def pseudo_inverse(core_BHLL: Tensor, exists_BL: Tensor) -> Tensor:
    """Return the Moore-Penrose inverse of the landmarks that exist, by iteration, in float32.

    Rows of landmarks that do not exist become those of the identity, whose inverse nobody reads.
    """
    with torch.autocast(core_BHLL.device.type, enabled=False):
        identity_LL = torch.eye(core_BHLL.shape[-1], device=core_BHLL.device)
        core = torch.where(exists_BL[:, None, :, None], core_BHLL.float(), identity_LL)
        columns, rows = core.abs().sum(dim=-2), core.abs().sum(dim=-1)
        scale = columns.amax(dim=-1) * rows.amax(dim=-1)
        inverse = core.transpose(-1, -2) / scale[..., None, None]
        for _ in range(ITERATIONS):
            product = core @ inverse
            inner = 15 * identity_LL - product @ (7 * identity_LL - product)
            inverse = 0.25 * inverse @ (13 * identity_LL - product @ inner)
        return inverse
