"""Where the model looked on a slide; and what pictures of slides share.

All axes are in microns from the slide's top-left corner, so thumbnail, masks, tiles and scale bar
need no common pixel grid.

Array suffixes: H rows, W columns, N tiles.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import ScalarFormatter

from histofed.core.words import counted
from histofed.errors import SlideError, StoreError
from histofed.report import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from histofed.core.types import TileScores

HEAD_LABELS = {
    "attention": "attention weight",
    "tile_logit": "tile logit",
    "evidence": "share in the logit",
}
TILE_ALPHA = 0.7


def heatmap_picture(
    thumbnail_HW3: NDArray[np.uint8],
    *,
    thumbnail_mpp: float,
    mpp: float,
    scores: TileScores,
    head: str,
    lesion_mask: NDArray[np.generic] | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Return the thumbnail, and beside it the same with each tile in the colour of its score.

    Parameters
    ----------
    thumbnail_mpp, mpp
        Microns per pixel of the thumbnail and of the slide's level 0.
    head
        Which of the scores to show.
    lesion_mask
        ``(h, w)`` of the known lesion, covering the same area as the thumbnail; drawn as contour.
    limits
        Scores at the two ends of the colour bar, to compare slides; this slide's range if None.

    Raises
    ------
    SlideError
        The thumbnail is not RGB, or the tiles lie outside of it.
    StoreError
        There is no such head, no tile, or a score is not finite.
    """
    values_N = _head_values(scores, head)
    corners_N2 = scores.coords_N2 * mpp
    extent_um = slide_extent(thumbnail_HW3, thumbnail_mpp, corners_N2, scores.slide_id)
    low, high = limits or (float(values_N.min()), float(values_N.max()))
    with style.house_style():
        figure, panels = _panels(extent_um)
        for axes, title in zip(panels, ("Slide", "Where the model looked"), strict=True):
            show(axes, thumbnail_HW3, extent_um)
            axes.set_title(title)
            if lesion_mask is not None:
                contour(axes, lesion_mask, extent_um, colour=style.ACCENT)
            _scale_bar(axes, extent_um)
        coloured = panels[1].imshow(
            score_map(thumbnail_HW3.shape[:2], scores, head, mpp / thumbnail_mpp),
            extent=(0, extent_um[0], extent_um[1], 0),
            cmap="viridis",
            norm=Normalize(low, high if high > low else low + 1e-12),
            alpha=TILE_ALPHA,
            interpolation="nearest",
        )
        ticks = ScalarFormatter()
        ticks.set_powerlimits((-3, 4))
        bar = figure.colorbar(coloured, ax=panels, shrink=0.85, aspect=28, pad=0.02, format=ticks)
        bar.set_label(HEAD_LABELS.get(head, head))
        bar.outline.set_visible(False)
        known = ""
        if lesion_mask is not None:
            some = np.asarray(lesion_mask).any()
            known = " Orange line: the known lesion." if some else " This slide has no lesion."
        _caption(
            figure,
            f"Slide {scores.slide_id}, {counted(len(values_N), 'tile')}. Yellow tiles counted most "
            f"in the model's answer, dark purple ones least; tiles are not smoothed.{known} "
            "A picture of what the model used, not a diagnosis.",
        )
    return figure


def score_map(
    shape: tuple[int, ...], scores: TileScores, head: str, px_per_px0: float
) -> NDArray[np.float32]:
    """Return the scores on the thumbnail's pixels ``(H, W)``; NaN where there is no tile.

    Painted rather than drawn as squares, so that no seam or double edge shows between neighbours.
    Where tiles overlap, the later one is seen.
    """
    painted = np.full(shape, np.nan, dtype=np.float32)
    starts_N2 = np.rint(scores.coords_N2 * px_per_px0).astype(np.int64)
    # Corners are rounded to whole level-0 pixels; half of one more closes the gap that may leave.
    ends = (scores.coords_N2 + scores.side_px0 + 0.5) * px_per_px0
    ends_N2 = np.maximum(np.rint(ends).astype(np.int64), starts_N2 + 1)
    for (x, y), (right, bottom), value in zip(starts_N2, ends_N2, scores.scores[head], strict=True):
        painted[y:bottom, x:right] = value
    return painted


def _head_values(scores: TileScores, head: str) -> NDArray[np.float32]:
    if head not in scores.scores:
        heads = ", ".join(sorted(scores.scores)) or "none"
        msg = f"slide {scores.slide_id}: there are no scores {head!r}; this file has: {heads}"
        raise StoreError(msg)
    values_N = scores.scores[head]
    if not len(values_N) or not np.isfinite(values_N).all():
        bad = int((~np.isfinite(values_N)).sum())
        msg = f"slide {scores.slide_id}: a heatmap needs finite scores, found {len(values_N)} "
        msg += f"tiles of which {bad} not finite; explain this slide again"
        raise StoreError(msg)
    return values_N


def slide_extent(
    thumbnail_HW3: NDArray[np.uint8],
    thumbnail_mpp: float,
    corners_um_N2: NDArray[np.floating],
    slide_id: str,
) -> tuple[float, float]:
    """Return the width and height of the thumbnail in microns, once the tiles fit into it."""
    if thumbnail_HW3.ndim != 3 or thumbnail_HW3.shape[2] != 3:
        msg = f"slide {slide_id}: a thumbnail is (height, width, 3), found {thumbnail_HW3.shape}; "
        msg += "convert it to RGB"
        raise SlideError(msg)
    height, width = thumbnail_HW3.shape[:2]
    extent_um = (width * thumbnail_mpp, height * thumbnail_mpp)
    if len(corners_um_N2) and (corners_um_N2.max(axis=0) >= extent_um).any():
        far = corners_um_N2.max(axis=0)
        msg = (
            f"slide {slide_id}: a tile starts at {far[0]:.0f} x {far[1]:.0f} um, outside of the "
            f"thumbnail's {extent_um[0]:.0f} x {extent_um[1]:.0f} um; mpp or thumbnail_mpp is wrong"
        )
        raise SlideError(msg)
    return extent_um


def _panels(extent_um: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Return a figure with two panels of the slide's shape, within a readable size."""
    height_in = float(np.clip(4.0 * extent_um[1] / extent_um[0], 1.6, 8.0))
    words_in = 0.95  # titles, and a caption of two lines
    figure = style.new_figure(8.9, height_in + words_in)
    return figure, list(figure.subplots(1, 2))


def show(axes: Axes, thumbnail_HW3: NDArray[np.uint8], extent_um: tuple[float, float]) -> None:
    """Show a slide on axes in microns, without ticks."""
    width_um, height_um = extent_um
    axes.imshow(thumbnail_HW3, extent=(0, width_um, height_um, 0))
    axes.set(xlim=(0, width_um), ylim=(height_um, 0), xticks=[], yticks=[])
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set(visible=True, color=style.GRID)


def squares(corners_um_N2: NDArray[np.floating], side_um: float) -> Sequence[NDArray[np.floating]]:
    """Return the four corners ``(4, 2)`` of each tile."""
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    return list(corners_um_N2[:, None, :] + unit * side_um)


def contour(
    axes: Axes,
    mask: NDArray[np.generic],
    extent_um: tuple[float, float],
    *,
    colour: str,
    linewidth: float = 1.3,
) -> None:
    """Draw the border of a mask that covers the slide from its corner to ``extent_um``."""
    inside = np.pad(np.asarray(mask) > 0, 1)  # so that a region at the slide's edge is closed
    if not inside.any():
        return
    rows, columns = mask.shape
    xs = (np.arange(-1, columns + 1) + 0.5) * extent_um[0] / columns
    ys = (np.arange(-1, rows + 1) + 0.5) * extent_um[1] / rows
    lines = axes.contour(xs, ys, inside, levels=[0.5], colors=[colour], linewidths=linewidth)
    # Dark tissue and the black of fluorescence would swallow a dark line.
    lines.set_path_effects([withStroke(linewidth=linewidth + 1, foreground="white", alpha=0.6)])


def _scale_bar(axes: Axes, extent_um: tuple[float, float]) -> None:
    """Draw a bar of a round length, about a fifth of the slide's width, at the bottom left."""
    width_um, height_um = extent_um
    bar_um = round_length_um(width_um / 5)
    x, y = 0.03 * width_um, height_um - 0.035 * max(width_um, height_um)
    label = f"{bar_um:,.0f} µm"
    pane = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
    axes.plot([x, x + bar_um], [y, y], color="white", linewidth=6, alpha=0.8)
    axes.plot([x, x + bar_um], [y, y], color=style.INK, linewidth=3, solid_capstyle="butt")
    axes.annotate(
        label, (x, y), (0, 7), textcoords="offset points", fontsize=8.5, bbox=pane, color=style.INK
    )


def round_length_um(about_um: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is at most ``about_um``."""
    power = 10.0 ** np.floor(np.log10(about_um))
    return float(max(step * power for step in (1, 2, 5) if step * power <= about_um * (1 + 1e-9)))


def _caption(figure: Figure, text: str) -> None:
    figure.supxlabel(
        textwrap.fill(text, 105), x=0.01, ha="left", fontsize=9, color=style.INK, linespacing=1.4
    )
