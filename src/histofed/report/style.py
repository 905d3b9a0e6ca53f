"""The look that all figures share: colours, type, grid; matplotlib's global state is not touched.

Figures are made as objects, never through pyplot, so a server may draw them in any thread.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes

INK = "#1f2933"
QUIET = "#6b7783"
GRID = "#e3e7eb"
ACCENT = "#d55e00"

# Okabe & Ito 2008: told apart under every common colour blindness. Yellow is left out: too pale.
BLUE, ORANGE, GREEN, PINK, SKY, VERMILION = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
)
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION)
MARKERS = ("o", "s", "D", "^", "v", "P")
_ARMS = {"federated": BLUE, "local": ORANGE, "pooled": GREEN}

PNG_DPI = 150
_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.titlecolor": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.unicode_minus": True,
}


def house_style() -> AbstractContextManager[None]:
    """Return a context in which new artists take the house style."""
    return mpl.rc_context(_RC)


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure that lays itself out; call inside `house_style`."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained", dpi=PNG_DPI)
    FigureCanvasAgg(figure)
    return figure


def png_bytes(figure: Figure) -> bytes:
    """Return the figure as PNG; equal figures give equal bytes, as no date is stored."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return buffer.getvalue()


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour per name; the arms (local, federated, pooled) keep theirs in all figures."""
    names = list(names)
    found = {
        name: colour
        for name in names
        for arm, colour in _ARMS.items()
        if name.lower().startswith(arm)
    }
    # One colour per arm: two models of one arm in the same figure must still be told apart.
    found = {name: c for name, c in found.items() if list(found.values()).count(c) == 1}
    free = [colour for colour in PALETTE if colour not in found.values()]
    rest = [name for name in names if name not in found]
    return found | {name: free[i % len(free)] for i, name in enumerate(rest)}


def markers(names: Iterable[str]) -> dict[str, str]:
    """Return a marker per name, so that nothing is told by colour alone."""
    return {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(names)}


def unit_square(axes: Axes) -> None:
    """Show the square from 0 to 1 with a little air, so that lines on the border stay visible."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.5", "0.75", "1"])
