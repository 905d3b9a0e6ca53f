"""The scores of a slide as the page needs them: raw numbers, and words for each head.

The browser colours them, so that nothing is lost between the file and the eye.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from histofed.core.types import TileScores

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)

N_BINS = 64
"""Bars of a histogram."""

_WORDS = {
    "attention": ("Attention", "High = the model looked here; not proof of tumour.", False),
    "evidence": (
        "Evidence",
        (
            "High (positive) = speaks for {positive}, low (negative) = against, zero = neither; "
            "not proof."
        ),
        True,
    ),
    "tile_risk": ("Risk", "High = this tile alone would mean a higher risk; not proof.", False),
}
"""Head -> what it is called, what it means, and whether the sign of its scores has a meaning."""

_ABOUT = {
    "tile_logit_": _WORDS["evidence"],
    "tile_value_": (
        "Value",
        (
            "High = this tile alone would mean more {positive}, low = less, the middle of the "
            "bar = usual; not proof."
        ),
        True,
    ),
}
"""Prefixes of heads that are about one class or quantity each: the rest of the name."""


def words(names: Iterable[str], *, positive: str | None) -> list[dict[str, Any]]:
    """Return what each head is called and means, attention first, then by name.

    Parameters
    ----------
    positive
        Name of the positive class of a binary task, for the explanation.
    """
    about = "a higher prediction" if positive is None else f"“{positive}”"
    ordered = sorted(names, key=lambda name: (name != "attention", name))
    return [_words(name, about) for name in ordered]


def describe(scores: TileScores, *, positive: str | None) -> list[dict[str, Any]]:
    """Return the words of each head, the range of its scores and their histogram."""
    return [
        each | _range(scores.scores[each["name"]], signed=each["signed"])
        for each in words(scores.scores, positive=positive)
    ]


def pack(scores: TileScores, head: str) -> bytes:
    """Return ``x, y, score`` of each tile as little-endian float32, NaN where it has no score.

    Whole numbers up to 16,777,216 are exact in float32: no slide is that wide.
    """
    triples_N3 = np.empty((len(scores.coords_N2), 3), dtype="<f4")
    triples_N3[:, :2] = scores.coords_N2
    triples_N3[:, 2] = scores.scores[head]
    return triples_N3.tobytes()


def _range(scores_N: NDArray[np.float32], *, signed: bool) -> dict[str, Any]:
    finite = scores_N[np.isfinite(scores_N)].astype(np.float64)
    if not len(finite):
        quantiles = dict.fromkeys(f"{each:g}" for each in QUANTILES)
        return {
            "n_tiles": 0,
            "low": None,
            "high": None,
            "quantiles": quantiles,
            "histogram": {"edges": [], "counts": []},
        }
    low, high = float(finite.min()), float(finite.max())
    if signed:
        high = float(np.abs(finite).max())
        low = -high
    # Equal ends: all scores are the same, and numpy widens the range by itself.
    counts, edges = np.histogram(finite, bins=N_BINS, range=(low, high))
    found = np.quantile(finite, QUANTILES).tolist()
    return {
        "n_tiles": len(finite),
        "low": low,
        "high": high,
        "quantiles": {f"{part:g}": each for part, each in zip(QUANTILES, found, strict=True)},
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _words(name: str, about: str) -> dict[str, Any]:
    known = _WORDS.get("evidence" if name == "tile_logit" else name)
    for prefix, (label, note, signed) in _ABOUT.items():
        if name.startswith(prefix):
            subject = name.removeprefix(prefix)
            known, about = (f"{label}: {subject}", note, signed), f"“{subject}”"
    label, note, signed = known or (
        name.replace("_", " ").capitalize(),
        "High = a high value.",
        False,
    )
    note = note.format(positive=about)
    return {"name": name, "label": label, "note": note, "signed": signed}
