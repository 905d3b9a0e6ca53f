"""Figure of which class is taken for which. Suffix: C classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.report import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike


def confusion_figure(confusion_CC: ArrayLike, classes: Sequence[str], *, name: str) -> Figure:
    """Return the counts of true (row) and called (column) classes, shaded by share of the row.

    Parameters
    ----------
    name
        Of the model, for the title.
    """
    counts = np.asarray(confusion_CC)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with style.house_style():
        side_in = 2.4 + 0.85 * len(classes)
        figure = style.new_figure(side_in + 0.6, side_in)
        axes = figure.add_subplot()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            axes.text(
                column,
                row,
                f"{counts[row, column]}\n{share[row, column]:.0%}",
                ha="center",
                va="center",
                color="white" if share[row, column] > 0.55 else style.INK,
            )
        axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set(title=f"What is taken for what? ({name})", xlabel="called", ylabel="found")
    return figure
