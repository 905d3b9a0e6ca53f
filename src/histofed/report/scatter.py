"""Figure of predicted against true numbers. Suffix: P patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from histofed.report import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from histofed.core.metrics import Interval
    from histofed.core.metrics.inputs import Floats

MOST_PANELS, COLUMNS = 6, 3


class Panel(NamedTuple):
    """One quantity; ``interval`` is Pearson's correlation."""

    name: str
    truth_P: Floats
    predicted_P: Floats
    interval: Interval | None


def scatter_figure(panels: Sequence[Panel], *, unit: str = "") -> Figure:
    """Return a panel per quantity, of more than `MOST_PANELS` those of the highest correlation."""
    shown = sorted(panels, key=lambda each: -each.interval.value if each.interval else 2.0)
    shown = shown[:MOST_PANELS]
    columns = min(len(shown), COLUMNS)
    rows = -(-len(shown) // columns)
    with style.house_style():
        size_in = 5.2 if columns == 1 else 3.4
        figure = style.new_figure(size_in * columns, (size_in + 0.3) * rows + 0.3)
        grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for axes, (name, truth, predicted, interval) in zip(grid, shown, strict=False):
            both = np.concatenate([truth, predicted])
            low, high = both.min(), both.max()
            margin = 0.05 * (high - low) or 1.0
            limits = (low - margin, high + margin)
            axes.plot(limits, limits, color=style.QUIET, linewidth=1, linestyle=(0, (4, 4)))
            axes.plot(truth, predicted, "o", color=style.BLUE, markersize=4.5, alpha=0.55)
            axes.set(xlim=limits, ylim=limits, aspect="equal")
            found = "" if interval is None else f"\nr {interval.value:.2f} "
            found += "" if interval is None else f"({interval.low:.2f} to {interval.high:.2f})"
            axes.set_title(f"{name}, n={len(truth)}{found}", fontsize=10)
            axes.set(xlabel=f"true {unit}".strip(), ylabel=f"predicted {unit}".strip())
        for axes in grid[len(shown) :]:
            axes.set_visible(False)
        if len(shown) < len(panels):
            words = f"the {len(shown)} of highest correlation of {len(panels)}"
            figure.supxlabel(words, fontsize=9.5, color=style.QUIET)
    return figure
