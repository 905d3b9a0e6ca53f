"""A slide's picture on disk, and the slide cut out of it again: without legend and words.

Array suffixes: H rows, W columns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from histofed.report import style

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from histofed.report.tile_picture import Outline

PANEL = "histofed panel "
"""Beginning of the comment that says where in the picture the slide is, and what is drawn on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The slide cut out of a picture; ``outline`` and ``problem`` are empty where there is none."""

    pixels_HW3: NDArray[np.uint8]
    outline: str
    problem: str


def picture_jpeg(figure: Figure, *, outline: Outline | None, problem: str = "") -> bytes:
    """Return a picture as JPEG, with what `read_panel` needs; equal figures give equal bytes."""
    width, height = figure.get_size_inches() * figure.dpi
    place = figure.axes[0].get_position()
    box = [place.x0 * width, (1 - place.y1) * height, place.x1 * width, (1 - place.y0) * height]
    words = outline.words if outline is not None else ""
    note = {"box": [round(edge) for edge in box], "outline": words, "problem": problem}
    return style.jpeg_bytes(figure, PANEL + json.dumps(note))


def read_panel(path: Path, longer_px: int) -> Panel | None:
    """Return the slide out of its picture, made smaller; None where that has no note of it."""
    with Image.open(path) as picture:
        comment = bytes(picture.info.get("comment", b"")).decode("ascii", errors="replace")
        if not comment.startswith(PANEL):
            return None
        note: dict[str, Any] = json.loads(comment.removeprefix(PANEL))
        slide = picture.convert("RGB").crop(note["box"])
    slide.thumbnail((longer_px, longer_px), Image.Resampling.LANCZOS)
    return Panel(pixels_HW3=np.asarray(slide), outline=note["outline"], problem=note["problem"])
