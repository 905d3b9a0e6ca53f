"""How quality flags look in every picture: words, colours, hatches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch

from histofed.core.quality import FLAGS, bits, first_flag
from histofed.report import style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from histofed.io.store import SlideTiles

FLAG_LABELS = {
    "unreadable": "unreadable",
    "off_stain": "off stain",
    "pen": "pen",
    "blur": "out of focus",
    "dark": "dark (fold)",
    "fat": "fat",
}
FLAG_COLOURS = dict(
    zip(
        FLAG_LABELS,
        (style.INK, style.PINK, style.GREEN, style.VERMILION, style.SKY, style.ORANGE),
        strict=True,
    )
)
FLAG_HATCHES = dict(zip(FLAG_LABELS, ("xxxx", "++", "////", "\\\\\\\\", "....", "oo"), strict=True))
"""Beside kept tiles in blue; told apart by colour-blind readers, and in black and white."""


def dropped_corners(tiles: SlideTiles) -> dict[str, NDArray[np.int64]]:
    """Return the corners of the tiles that each flag dropped; a tile is under its first flag."""
    if tiles.dropped is None:
        return {}
    # What the encoder could not read is dropped whatever was asked.
    asked = (*tiles.record.recipe.quality["drop"], "unreadable")
    first = np.array(first_flag(tiles.dropped.flags_N, asked))
    found = {flag: tiles.dropped.coords_N2[first == flag] for flag in FLAGS}
    return {flag: corners for flag, corners in found.items() if len(corners)}


def flagged_words(tiles: SlideTiles) -> str:
    """Return how many kept tiles have which flag all the same, in brackets; nothing if none has."""
    if tiles.flags_N is None:
        return ""
    counts = {flag: int((tiles.flags_N & bits([flag]) > 0).sum()) for flag in FLAGS}
    found = [f"{FLAG_LABELS[flag]} {count:,}" for flag, count in counts.items() if count]
    return f" (flagged all the same: {', '.join(found)})" if found else ""


def tile_keys(dropped: Mapping[str, str]) -> list[Patch]:
    """Return the keys of kept tiles and of those that flags dropped; flag -> words that follow."""
    keys = [Patch(facecolor=(style.BLUE, 0.10), edgecolor=style.BLUE, label="kept")]
    for flag, words in dropped.items():
        colour, hatch = FLAG_COLOURS[flag], FLAG_HATCHES[flag]
        label = f"dropped: {FLAG_LABELS[flag]}{words}"
        keys.append(Patch(facecolor=(colour, 0.35), edgecolor=colour, hatch=hatch, label=label))
    return keys
