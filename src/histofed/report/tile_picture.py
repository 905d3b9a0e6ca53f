"""A slide's picture: its tissue, its tiles and what dropped some, or why it has no tiles.

All axes are in microns from the slide's top-left corner, so slide, mask, tiles and scale bar need
no common pixel grid. Legend, scale bar and caption stand beside the slide, never on it: the contact
sheet cuts the slide out of its picture (`histofed.report.panels`).

Array suffixes: H rows, W columns, N tiles.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from PIL import Image

from histofed.core.quality import FLAGS, first_flag
from histofed.core.words import counted
from histofed.report import style
from histofed.report.flags import (
    DROPPED_ALPHA,
    FLAG_COLOURS,
    FLAG_HATCHES,
    FLAG_LABELS,
    KEPT,
    dropped_corners,
    outline_key,
    tile_keys,
)
from histofed.report.overlays import contour, round_length_um, show, slide_extent, squares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from histofed.core.types import MppSource
    from histofed.io.store import SlideTiles

LEAST_PX, LONGER_PX = 800, 1600
"""Longer side of the slide in its picture; that of a small slide is as many pixels as it has."""

LEAST_SIDE_PX = 10
"""Of a tile with an outline of its own: lines around smaller ones would hide the tissue."""

LEAST_WIDTH_IN = 7.0
"""Of legend and caption, beside which a portrait slide may be narrower."""

MARGIN_IN, BAR_IN, LINE_IN = 0.12, 0.26, 0.19
CHARACTER_IN = 0.075
"""Width of a character of the caption, on average and rather too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """The whole slide as RGB ``pixels_HW3``, one pixel being ``mpp`` microns."""

    pixels_HW3: NDArray[np.uint8]
    mpp: float

    @property
    def px_per_um(self) -> float:
        """Pixels of the figure for each micron."""
        longer_px = max(self.pixels_HW3.shape)
        return float(np.clip(longer_px, LEAST_PX, LONGER_PX)) / (longer_px * self.mpp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """Where tissue is: True in ``mask_HW``, one pixel being ``mpp`` microns; and who says so."""

    mask_HW: NDArray[np.bool_]
    mpp: float
    method: str

    @property
    def words(self) -> str:
        """What its border is; empty where there is none."""
        if not self.mask_HW.any():
            return ""
        by_hand = self.method == "user_regions"
        return "region drawn by hand" if by_hand else "border of the tissue"

    @property
    def extent_um(self) -> tuple[float, float]:
        """Width and height of what the mask covers."""
        height, width = self.mask_HW.shape
        return width * self.mpp, height * self.mpp


def tile_picture(
    backdrop: Backdrop,
    *,
    tiles: SlideTiles,
    outline: Outline | None = None,
    mpp_from: MppSource | None = None,
) -> Figure:
    """Return the slide with its tissue's border, the kept tiles and why others were dropped.

    Parameters
    ----------
    mpp_from
        Who said how many microns a pixel of the slide is.

    Raises
    ------
    SlideError
        The backdrop is not RGB, or the tiles lie outside of it.
    StoreError
        The tiles carry no positions.
    """
    record = tiles.record
    side_px0 = record.side_px0  # refuses bags without positions, which have no mpp either
    mpp = float(record.mpp or 0)
    corners_N2, side_um = tiles.coords_N2 * mpp, side_px0 * mpp
    dropped = dropped_corners(tiles)
    extent_um = slide_extent(backdrop.pixels_HW3, backdrop.mpp, corners_N2, record.slide_id)
    side_px = side_um * backdrop.px_per_um
    keys = tile_keys(
        len(corners_N2),
        {flag: len(each) for flag, each in dropped.items()},
        together=side_px < LEAST_SIDE_PX,
    )
    with style.house_style():
        figure, axes = _slide_figure(backdrop, extent_um, keys, outline, _words(tiles, mpp_from))
        for flag, corners in dropped.items():
            axes.add_collection(_dropped(flag, corners * mpp, side_um), autolim=False)
        if side_px < LEAST_SIDE_PX:
            painted = _painted(corners_N2 * backdrop.px_per_um, side_px, axes)
            contour(axes, painted, extent_um, colour=KEPT, linewidth=0.8)
        else:
            axes.add_collection(_kept(corners_N2, side_um, side_px), autolim=False)
    return figure


def problem_picture(
    backdrop: Backdrop, *, slide_id: str, reason: str, outline: Outline | None = None
) -> Figure:
    """Return a slide that has no tiles, with whatever outline there is and the reason below."""
    extent_um = slide_extent(backdrop.pixels_HW3, backdrop.mpp, np.empty((0, 2)), slide_id)
    with style.house_style():
        words = f"No tiles. {reason[:1].upper()}{reason[1:]}."
        figure, _ = _slide_figure(backdrop, extent_um, [], outline, words)
    return figure


def _slide_figure(
    backdrop: Backdrop,
    extent_um: tuple[float, float],
    keys: Sequence[Artist],
    outline: Outline | None,
    words: str,
) -> tuple[Figure, Axes]:
    """Return a figure of legend, slide, scale bar and caption, from top to bottom, all flush left.

    The slide's pixels fall on pixels of the figure: nothing is resampled where sizes agree.
    """
    px_per_um = backdrop.px_per_um
    across_in, down_in = (_whole_px(um * px_per_um / style.PNG_DPI) for um in extent_um)
    width_in = max(across_in, LEAST_WIDTH_IN)
    lines = textwrap.wrap(words, int(width_in / CHARACTER_IN))
    figure = style.new_figure(width_in + 2 * MARGIN_IN, 1.0, layout=None)
    if outline is not None and outline.words:
        keys = [*keys, outline_key(outline.words)]
    legend, legend_in = style.flowing_legend(figure, keys, width_in)
    caption_in = MARGIN_IN + len(lines) * LINE_IN
    bar_in = caption_in + BAR_IN / 2
    bottom_in = _whole_px(caption_in + BAR_IN)
    top_in = bottom_in + down_in
    height_in = _whole_px(top_in + legend_in + (2 if keys else 1) * MARGIN_IN)
    figure.set_size_inches(width_in + 2 * MARGIN_IN, height_in)
    inches = figure.dpi_scale_trans
    legend.set_bbox_to_anchor((MARGIN_IN, height_in - MARGIN_IN), transform=inches)
    axes = style.axes_at(figure, MARGIN_IN, bottom_in, (across_in, down_in))
    across_px, down_px = round(across_in * figure.dpi), round(down_in * figure.dpi)
    show(axes, _shrunk(backdrop.pixels_HW3, across_px, down_px), extent_um)
    if outline is not None:
        mask = _shrunk(outline.mask_HW.astype(np.uint8) * 255, across_px, down_px) > 127
        contour(axes, mask, outline.extent_um, colour=style.INK)
    _scale_bar(figure, bar_in, longer_um=max(extent_um), px_per_um=px_per_um)
    caption = figure.text(MARGIN_IN, caption_in, "\n".join(lines), va="top", transform=inches)
    caption.set(fontsize=9.5, linespacing=1.35)
    return figure, axes


def _scale_bar(figure: Figure, y_in: float, *, longer_um: float, px_per_um: float) -> None:
    """Draw a bar of a round length, its label to the right, at a height below the slide."""
    bar_um = round_length_um(longer_um / 8)
    right_in = MARGIN_IN + bar_um * px_per_um / style.PNG_DPI
    inches = figure.dpi_scale_trans
    bar = Line2D([MARGIN_IN, right_in], [y_in, y_in], transform=inches, color=style.INK)
    bar.set(linewidth=3, solid_capstyle="butt")
    figure.add_artist(bar)
    label = f"{bar_um / 1000:g} mm" if bar_um >= 1000 else f"{bar_um:g} µm"
    place_in = (right_in + MARGIN_IN / 2, y_in)
    figure.text(*place_in, label, va="center", fontsize=9.5, transform=inches)


def _shrunk(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return what is larger than the figure's place for it in that size; drawing it is costly."""
    if pixels.shape[1] <= width and pixels.shape[0] <= height:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def _whole_px(length_in: float) -> float:
    return max(round(length_in * style.PNG_DPI), 1) / style.PNG_DPI


def _kept(corners_um_N2: NDArray[np.floating], side_um: float, side_px: float) -> PolyCollection:
    """Return outlines that are thin beside a tile: many must not tint the tissue."""
    width_px = float(np.clip(0.03 * side_px, 0.4, 1.6))
    return PolyCollection(
        squares(corners_um_N2, side_um),
        facecolors="none",
        edgecolors=KEPT,
        linewidths=width_px * 72 / style.PNG_DPI,
    )


def _painted(corners_px_N2: NDArray[np.floating], side_px: float, axes: Axes) -> NDArray[np.bool_]:
    """Return where there are tiles, on the pixels of some axes; neighbours leave no gap."""
    painted = np.zeros((round(axes.bbox.height), round(axes.bbox.width)), dtype=np.bool_)
    starts_N2 = np.floor(corners_px_N2).astype(np.int64)
    ends_N2 = np.ceil(corners_px_N2 + side_px).astype(np.int64)
    for (x, y), (right, bottom) in zip(starts_N2, ends_N2, strict=True):
        painted[y:bottom, x:right] = True
    return painted


def _dropped(flag: str, corners_um_N2: NDArray[np.floating], side_um: float) -> PolyCollection:
    colour = FLAG_COLOURS[flag]
    return PolyCollection(
        squares(corners_um_N2, side_um),
        facecolors=(colour, DROPPED_ALPHA),
        edgecolors=colour,
        hatch=FLAG_HATCHES[flag],
        linewidths=0.8,
    )


def _words(tiles: SlideTiles, mpp_from: MppSource | None) -> str:
    """Return the caption: what was kept, and how slide, tiles and tissue were measured."""
    record = tiles.record
    spec, mpp = record.recipe.spec, float(record.mpp or 0)
    n_dropped = sum(len(each) for each in dropped_corners(tiles).values())
    n_kept = len(tiles.coords_N2)
    kept = f"{counted(n_kept, 'tile')} of {record.side_px0 * mpp:g} µm kept"
    if spec is not None:
        kept += f", {spec.size_px} px at {spec.mpp:g} µm per pixel"
    also = f"; {n_dropped:,} dropped" if n_dropped else ""
    if tiles.n_over_border:
        one, many = "hangs over the border and is none", "hang over the border and are none"
        also += f"; {counted(tiles.n_over_border, f'with tissue {one}', f'with tissue {many}')}"
    found = [f"Slide {record.slide_id}: {kept}{also}."]
    if tiles.flags_N is not None and (tiles.flags_N > 0).any():
        first = first_flag(tiles.flags_N)
        counts = {flag: first.count(flag) for flag in FLAGS if flag in first}
        reasons = ", ".join(f"{count:,} {FLAG_LABELS[flag]}" for flag, count in counts.items())
        found.append(f"Flagged but kept: {reasons}.")
    size = f"{record.width_px0:,} x {record.height_px0:,} px at {mpp:.4g} µm per pixel"
    found.append(f"The slide: {size}{f' as the {mpp_from} says' if mpp_from else ''}.")
    if method := record.recipe.tissue.get("method"):
        found.append(f"Tissue: {method}.")
    return " ".join(found)
