"""Reading slides: one protocol, OpenSlide as the reference, a fast path for tiled TIFF.

``open_slide(path)`` is the only door; nothing else in the house imports ``openslide``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.io.readers.base import (
    SLIDE_SUFFIXES,
    SlideReader,
    find_slides,
    slide_digest,
    slide_files,
)
from histofed.io.readers.dicom import slide_name
from histofed.io.readers.openslide import open_openslide
from histofed.io.readers.tiff import open_tiff
from histofed.io.readers.tiff_levels import NotForTiffReader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "SLIDE_SUFFIXES",
    "SlideReader",
    "find_slides",
    "open_slide",
    "slide_digest",
    "slide_files",
    "slide_name",
]


def open_slide(
    path: Path, *, mpp: float | None = None, fallback_mpp: float | None = None, fast: bool = True
) -> SlideReader:
    """Open a slide with the fastest reader that shows what OpenSlide shows.

    Parameters
    ----------
    mpp
        Microns per level-0 pixel of this slide; it overrides what the file says.
    fallback_mpp
        Microns per level-0 pixel, used only where the file does not say.
    fast
        Whether the reader of tiled TIFF may be chosen. The choice, and why, is `SlideReader.rule`.

    Raises
    ------
    SlideUnreadable
        The file is missing or not a slide.
    MissingMpp
        The file does not say its resolution and none was supplied.
    ConfigError
        The supplied resolution is not a positive number.
    """
    reference = open_openslide(path, mpp=mpp, fallback_mpp=fallback_mpp)
    if not fast:
        return reference
    try:
        return open_tiff(path, reference)
    except NotForTiffReader as reason:
        reference.rule = f"openslide: {reason}"
        return reference
    except BaseException:
        reference.close()
        raise
