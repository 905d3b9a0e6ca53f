"""The scores of a slide as the page needs them: raw numbers, and words for each head.

The browser colours them, so that nothing is lost between the file and the eye.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.types import TileScores

SIGNED = frozenset({"evidence", "tile_logit"})
"""Heads whose sign has a meaning: their colours are even about zero."""

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)

_EVIDENCE = (
    "Evidence",
    "Bright = speaks for “{positive}”, dark = against, the middle of the bar = neither; not proof.",
)
_WORDS = {
    "attention": ("Attention", "Bright = the model looked here; not proof of tumour."),
    "evidence": _EVIDENCE,
    "tile_logit": _EVIDENCE,
}


def describe(scores: TileScores, *, positive: str) -> list[dict[str, Any]]:
    """Return one description per head, attention first, then by name.

    Parameters
    ----------
    positive
        Name of the positive class, for the explanation.
    """
    names = sorted(scores.scores, key=lambda name: (name != "attention", name))
    return [_describe(name, scores.scores[name], positive) for name in names]


def pack(scores: TileScores, head: str) -> bytes:
    """Return ``x, y, score`` of each tile as little-endian float32, NaN where it has no score.

    Whole numbers up to 16,777,216 are exact in float32: no slide is that wide.
    """
    triples_N3 = np.empty((len(scores.coords_N2), 3), dtype="<f4")
    triples_N3[:, :2] = scores.coords_N2
    triples_N3[:, 2] = scores.scores[head]
    return triples_N3.tobytes()


def _describe(name: str, scores_N: NDArray[np.float32], positive: str) -> dict[str, Any]:
    label, note = _WORDS.get(name, (name.replace("_", " ").capitalize(), "Bright = high value."))
    finite = scores_N[np.isfinite(scores_N)].astype(np.float64)
    known = len(finite) > 0
    low, high = (float(finite.min()), float(finite.max())) if known else (None, None)
    if known and name in SIGNED:
        high = float(np.abs(finite).max())
        low = -high
    return {
        "name": name,
        "label": label,
        "note": note.format(positive=positive),
        "n_tiles": len(finite),
        "low": low,
        "high": high,
        "quantiles": {
            f"{each:g}": float(np.quantile(finite, each)) if known else None for each in QUANTILES
        },
    }
