"""The mean of the features: the reference that every slide encoder should be compared with.

Suffixes: N tiles, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.extract.slide_encoders.base import SlideEncoderCard

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = SlideEncoderCard(name="mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanOfFeatures:
    """Every tile counts alike; neither their order nor their places matter."""

    @property
    def card(self) -> SlideEncoderCard:
        """The card; see `SlideEncoder.card`."""
        return CARD

    @property
    def record(self) -> dict[str, Any]:
        """The name: there is nothing else to choose."""
        return {"name": CARD.name}

    def encode(
        self,
        features_ND: NDArray[np.float32],
        coords_N2: NDArray[np.int64] | None,
        *,
        side_px0: float | None,
    ) -> NDArray[np.float32]:
        """Return the mean ``(D,)``; see `SlideEncoder.encode`."""
        return features_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
