"""A contact sheet: the slides of a whole cohort on as few pages as can be read.

Pages are put together from the pictures on disk, so a sheet costs no slide and may be made again at
any time. Each slide is cut out of its picture: legend and words are those of the page.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from matplotlib.patches import Patch

from histofed.core.quality import FLAGS
from histofed.core.words import counted
from histofed.report import style
from histofed.report.flags import outline_key, tile_keys
from histofed.report.panels import read_panel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from histofed.report.panels import Panel

COLUMNS, ROWS, LEAST_COLUMNS = 5, 6, 3
"""Slides a page: a portrait page of 30 can still be read on a screen."""

PICTURE_IN, LEAST_HEIGHT_IN = (2.3, 2.15), 0.9
"""Room for a picture; a row of landscape slides is less high, down to the least."""

GAP_IN, WORDS_IN = 0.2, 0.82
"""Between columns, and for the words below a picture."""

MARGIN_IN, TITLE_IN = 0.12, 0.3
LINE_CHARACTERS, LINES = 38, 4

MANY_DROPPED = 0.1
"""A slide that lost more than this part of its tiles is marked."""

MARKS: dict[str, tuple[str, Any, str]] = {
    "failed": (style.VERMILION, "solid", "failed"),
    "empty": (style.BLUE, "dashed", "empty: no tile left"),
    "many dropped": (style.ORANGE, "dotted", f"more than {MANY_DROPPED:.0%} dropped"),
    "left": (style.QUIET, "dashdot", "left to another process"),
}
"""Colour and line of the frame around a slide to look at, and its words in the legend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumb:
    """One slide of the sheet.

    Attributes
    ----------
    picture
        Where its picture is, if there is one.
    status
        ``done``, ``kept``, ``empty``, ``failed`` or ``left``.
    reason
        Class and message of the failure.
    n_dropped
        Flag -> tiles that it dropped.
    """

    slide_id: str
    picture: Path
    status: str
    reason: str = ""
    n_kept: int = 0
    n_dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """Why to look at this slide; empty where there is no need."""
        if self.status in MARKS:
            return self.status
        lost = sum(self.n_dropped.values())
        return "many dropped" if lost > MANY_DROPPED * (lost + self.n_kept) else ""

    @property
    def words(self) -> str:
        """What became of it; of a reason neither the slide's name nor the remedy, for brevity."""
        if self.status in MARKS:
            reason = re.sub(r"^\w+: (slide [^:]*: )?", "", self.reason).split("; ")[0]
            return f"{self.status}: {reason}" if reason else MARKS[self.status][2]
        lost = sum(self.n_dropped.values())
        share = f", {lost:,} dropped ({lost / (lost + self.n_kept):.1%})" if lost else ""
        return f"{counted(self.n_kept, 'tile')} kept{share}"

    def panel(self) -> Panel | None:
        """Return the slide out of its picture; None where that shows not what became of it."""
        if not self.picture.is_file():
            return None
        panel = read_panel(self.picture, round(max(PICTURE_IN) * style.PNG_DPI))
        refused = self.status in ("failed", "empty")
        return panel if panel is not None and bool(panel.problem) == refused else None


def contact_sheets(title: str, thumbs: Sequence[Thumb]) -> Iterator[Figure]:
    """Yield the pages, each a figure; one page where all slides fit on one."""
    per_page = COLUMNS * ROWS
    n_pages = math.ceil(len(thumbs) / per_page)
    for page in range(n_pages):
        shown = thumbs[page * per_page : (page + 1) * per_page]
        words = title if n_pages == 1 else f"{title}, page {page + 1} of {n_pages}"
        yield _page(words, shown)


def _page(title: str, thumbs: Sequence[Thumb]) -> Figure:
    columns = max(min(COLUMNS, len(thumbs)), LEAST_COLUMNS)
    panels = [thumb.panel() for thumb in thumbs]
    heights_in = [_height_in(panels[i : i + columns]) for i in range(0, len(panels), columns)]
    width_in = columns * (PICTURE_IN[0] + GAP_IN) - GAP_IN + 2 * MARGIN_IN
    with style.house_style():
        figure = style.new_figure(width_in, 1.0, layout=None)
        keys = _keys(thumbs, panels)
        legend, legend_in = style.flowing_legend(figure, keys, width_in - 2 * MARGIN_IN)
        head_in = MARGIN_IN + TITLE_IN + legend_in + (MARGIN_IN if keys else 0)
        height_in = head_in + sum(heights_in) + len(heights_in) * WORDS_IN
        figure.set_size_inches(width_in, height_in)
        inches = figure.dpi_scale_trans
        top_in = height_in - MARGIN_IN
        words = figure.text(MARGIN_IN, top_in, title, va="top", transform=inches)
        words.set(fontsize=11.5, fontweight="bold")
        legend.set_bbox_to_anchor((MARGIN_IN, top_in - TITLE_IN), transform=inches)
        bottom_in = height_in - head_in
        for row, row_in in enumerate(heights_in):
            bottom_in -= row_in
            for column, number in enumerate(range(row * columns, len(thumbs))[:columns]):
                left_in = MARGIN_IN + column * (PICTURE_IN[0] + GAP_IN)
                axes = style.axes_at(figure, left_in, bottom_in, (PICTURE_IN[0], row_in))
                _show(axes, thumbs[number], panels[number])
            bottom_in -= WORDS_IN
    return figure


def _height_in(panels: Sequence[Panel | None]) -> float:
    """Return how high a row must be for its pictures."""
    shapes = [panel.pixels_HW3.shape for panel in panels if panel is not None]
    most = max((height / width for height, width, _ in shapes), default=0.0)
    return min(max(PICTURE_IN[0] * most, LEAST_HEIGHT_IN), PICTURE_IN[1])


def _show(axes: Axes, thumb: Thumb, panel: Panel | None) -> None:
    """Show a slide in its frame, with name and words below."""
    if panel is None:
        axes.text(0.04, 0.5, "no picture", va="center", fontsize=7.5, color=style.QUIET)
    else:
        axes.imshow(panel.pixels_HW3)
    colour, line, _ = MARKS.get(thumb.mark, (style.GRID, "solid", ""))
    for side in axes.spines.values():
        side.set(visible=True, color=colour, linestyle=line, linewidth=2.2 if thumb.mark else 0.8)
    # Lines below the frame, in points: pictures of a row differ in height, their words do not.
    for text, down, size in ((_short(thumb.slide_id), 5, 8.5), (_wrapped(thumb.words), 17, 7.5)):
        axes.annotate(
            text,
            (0, 0),
            (0, -down),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize=size,
            fontweight="bold" if down == 5 else "normal",
        )


def _keys(thumbs: Sequence[Thumb], panels: Sequence[Panel | None]) -> list[Artist]:
    """Return the keys of what occurs on the page, with counts of tiles or slides."""
    n_kept = sum(thumb.n_kept for thumb in thumbs)
    n_dropped = {flag: sum(thumb.n_dropped.get(flag, 0) for thumb in thumbs) for flag in FLAGS}
    keys = tile_keys(n_kept, n_dropped) if n_kept or any(n_dropped.values()) else []
    outlines = sorted({panel.outline for panel in panels if panel is not None} - {""})
    if outlines:
        keys.append(outline_key(" or ".join(outlines)))
    counts = Counter(thumb.mark for thumb in thumbs)
    for mark, (colour, line, words) in MARKS.items():
        if counts[mark]:
            keys.append(
                Patch(
                    facecolor="none", edgecolor=colour, linestyle=line, linewidth=2.2,
                    label=f"{words} ({counted(counts[mark], 'slide')})",
                )
            )  # fmt: skip
    return keys


def _wrapped(words: str) -> str:
    """Return the words in as many lines as there is room for."""
    lines = textwrap.wrap(words, LINE_CHARACTERS)
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"{lines[LINES - 1][: LINE_CHARACTERS - 2]} …"]
    return "\n".join(lines)


def _short(name: str, most: int = 30) -> str:
    """Keep both ends of a long name: the start is the patient, the end the slide."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"
