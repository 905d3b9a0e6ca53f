"""The look that all figures share: colours, type, grid; matplotlib's global state is not touched.

Figures are made as objects, never through pyplot, so a server may draw them in any thread.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

INK = "#1f2933"
QUIET = "#6b7783"
GRID = "#e3e7eb"
ACCENT = "#d55e00"

# Okabe & Ito 2008: told apart under every common colour blindness.
BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, YELLOW = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#f0e442",
)
# Without yellow: too pale for a line on white.
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION)
MARKERS = ("o", "s", "D", "^", "v", "P")
_ARMS = {"federated": BLUE, "local": ORANGE, "pooled": GREEN}

PNG_DPI = 150

JPEG_QUALITY = 90
"""Of pictures of tissue, in full colour resolution (4:4:4): a quarter of the PNG's bytes, and no
fringe is seen around text and outlines."""

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


def new_figure(
    width_in: float, height_in: float, *, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """Return an empty figure, which lays itself out unless ``layout`` is None.

    Call inside `house_style`.
    """
    figure = Figure(figsize=(width_in, height_in), layout=layout, dpi=PNG_DPI)
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Figure, left_in: float, bottom_in: float, size_in: tuple[float, float]) -> Axes:
    """Return axes at a place in inches from the bottom left corner of a figure, without ticks.

    A picture that is not of their shape stands at their bottom left.
    """
    width_in, height_in = figure.get_size_inches()
    axes = figure.add_axes(
        (
            left_in / width_in,
            bottom_in / height_in,
            size_in[0] / width_in,
            size_in[1] / height_in,
        )
    )
    axes.set(anchor="SW", xticks=[], yticks=[])
    axes.grid(visible=False)
    return axes


def png_bytes(figure: Figure) -> bytes:
    """Return a drawing as PNG; equal figures give equal bytes, as no date is stored."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return buffer.getvalue()


def jpeg_bytes(figure: Figure, note: str = "") -> bytes:
    """Return a figure that shows slides as JPEG, with a note in ASCII as its comment.

    Equal figures give equal bytes.
    """
    options: dict[str, Any] = {"quality": JPEG_QUALITY, "subsampling": 0}
    if note:
        options["comment"] = note
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="jpeg", dpi=PNG_DPI, pil_kwargs=options)
    return buffer.getvalue()


def flowing_legend(figure: Figure, keys: Sequence[Artist], width_in: float) -> tuple[Legend, float]:
    """Return a legend in as few rows as fit into a width, and its height in inches.

    It is not in its place yet: the figure's height may depend on it.
    """
    for rows in range(1, max(len(keys), 1) + 1):
        legend = figure.legend(
            handles=list(keys),
            loc="upper left",
            ncols=max(math.ceil(len(keys) / rows), 1),
            borderaxespad=0,
            borderpad=0,
            handleheight=1.2,
            columnspacing=1.6,
        )
        size_px = legend.get_window_extent(FigureCanvasAgg(figure).get_renderer())
        if rows >= len(keys) or size_px.width <= width_in * figure.dpi:
            break
        legend.remove()
    return legend, size_px.height / figure.dpi if keys else 0.0


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
