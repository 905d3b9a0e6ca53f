"""A contact sheet: the overlays of a whole cohort on as few pages as can be read.

Pages are put together from the pictures on disk, so a sheet costs no slide and may be made again at
any time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histofed.core.quality import FLAGS
from histofed.report import style
from histofed.report.flags import tile_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

COLUMNS, ROWS, LEAST_COLUMNS = 5, 6, 3
"""Thumbnails a page: a portrait page of 30 can still be read on a screen."""

CELL_IN = (2.2, 2.0)
LEGEND_IN = 1.3
THUMBNAIL_PX = 420


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumb:
    """One slide of the sheet; ``status`` stands where there is no overlay ``picture`` to show."""

    slide_id: str
    picture: Path | None
    status: str = "failed"
    n_kept: int = 0
    n_dropped: int = 0


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
    rows = math.ceil(len(thumbs) / columns)
    with style.house_style():
        width_in = max(columns * CELL_IN[0], 4.0)
        figure = style.new_figure(width_in, rows * CELL_IN[1] + LEGEND_IN)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
        cells = figure.subplots(rows, columns, squeeze=False)
        for axes in cells.flat:
            axes.set_axis_off()
        for axes, thumb in zip(cells.flat, thumbs, strict=False):
            dropped = f", {thumb.n_dropped:,} dropped" if thumb.n_dropped else ""
            words = f"{thumb.n_kept:,} kept{dropped}"
            if thumb.picture is None:
                words = thumb.status
                axes.text(0.5, 0.5, "no picture", ha="center", va="center", color=style.QUIET)
            else:
                axes.imshow(_thumbnail(thumb.picture))
            colour = style.ACCENT if thumb.picture is None or thumb.n_dropped else style.INK
            axes.set_title(
                f"{_short(thumb.slide_id)}\n{words}",
                fontsize=7.5, fontweight="normal", loc="center", pad=3, color=colour,
            )  # fmt: skip
        keys = tile_keys(dict.fromkeys(FLAGS, ""))
        figure.legend(handles=keys, loc="outside lower left", ncols=max(columns - 1, 1), fontsize=8)
    return figure


def _thumbnail(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
        return np.asarray(picture.convert("RGB"))


def _short(name: str, most: int = 30) -> str:
    """Keep both ends of a long name: the start is the patient, the end the slide."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"
