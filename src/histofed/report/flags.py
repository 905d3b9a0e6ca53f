"""How quality flags look in every picture: words, colours, hatches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from histofed.core.quality import FLAGS, first_flag
from histofed.report import style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.artist import Artist
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
        (style.INK, style.PINK, style.GREEN, style.VERMILION, style.YELLOW, style.SKY),
        strict=True,
    )
)
FLAG_HATCHES = dict(zip(FLAG_LABELS, ("xx", "+", "//", "\\\\", "..", "o"), strict=True))
"""Told apart by colour-blind readers, and in black and white."""

DROPPED_ALPHA = 0.25
"""Of the filling of dropped tiles: one must see whether it was right to drop them."""

KEPT = style.BLUE
"""Kept tiles have an outline of this colour and no filling: their tissue is seen as it is."""


def dropped_corners(tiles: SlideTiles) -> dict[str, NDArray[np.int64]]:
    """Return the corners of the tiles that each flag dropped; a tile is under its first flag."""
    if tiles.dropped is None:
        return {}
    # What the encoder could not read is dropped whatever was asked.
    asked = (*tiles.record.recipe.quality["drop"], "unreadable")
    first = np.array(first_flag(tiles.dropped.flags_N, asked))
    found = {flag: tiles.dropped.coords_N2[first == flag] for flag in FLAGS}
    return {flag: corners for flag, corners in found.items() if len(corners)}


def tile_keys(n_kept: int, n_dropped: Mapping[str, int], *, together: bool = False) -> list[Artist]:
    """Return the keys of kept tiles and of those that flags dropped, with their numbers.

    Parameters
    ----------
    together
        The kept tiles have one outline around them all.
    """
    kept = f"kept ({n_kept:,}{', outlined together' if together else ''})"
    keys: list[Artist] = [Patch(facecolor="none", edgecolor=KEPT, linewidth=1.2, label=kept)]
    for flag in (flag for flag in FLAGS if n_dropped.get(flag)):
        colour, hatch = FLAG_COLOURS[flag], FLAG_HATCHES[flag]
        label = f"dropped: {FLAG_LABELS[flag]} ({n_dropped[flag]:,})"
        keys.append(
            Patch(facecolor=(colour, DROPPED_ALPHA), edgecolor=colour, hatch=hatch, label=label)
        )
    return keys


def outline_key(words: str) -> Artist:
    """Return the key of the line around the tissue."""
    return Line2D([], [], color=style.INK, linewidth=1.3, label=words)
