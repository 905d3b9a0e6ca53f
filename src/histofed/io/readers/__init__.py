"""Reading slides: one protocol, OpenSlide as the reference, a fast path for tiled TIFF.

A folder of images is read as a slide too.

``open_slide(path)`` is the only door; nothing else in the house imports ``openslide``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.io.readers.base import (
    SLIDE_SUFFIXES,
    SlideReader,
    find_slides,
    image_folders,
    slide_digest,
    slide_files,
)
from histofed.io.readers.dicom import slide_name
from histofed.io.readers.images import open_images
from histofed.io.readers.openslide import open_openslide
from histofed.io.readers.tiff import BlockMemory, block_memory, open_tiff
from histofed.io.readers.tiff_levels import NotForTiffReader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "SLIDE_SUFFIXES",
    "BlockMemory",
    "SlideReader",
    "block_memory",
    "find_slides",
    "image_folders",
    "open_slide",
    "slide_digest",
    "slide_files",
    "slide_name",
]


def open_slide(
    path: Path,
    *,
    mpp: float | None = None,
    fallback_mpp: float | None = None,
    fast: bool = True,
    kept: BlockMemory | None = None,
) -> SlideReader:
    """Open a slide with the fastest reader that shows what OpenSlide shows, or a folder of images.

    Parameters
    ----------
    mpp
        Microns per level-0 pixel of this slide; it overrides what the file says.
    fallback_mpp
        Microns per level-0 pixel, used only where the file does not say.
    fast
        Whether the reader of tiled TIFF may be chosen. The choice, and why, is `SlideReader.rule`.
    kept
        Where that reader keeps decoded blocks (`block_memory`), for who reads a slide in pieces
        that share blocks.

    Raises
    ------
    SlideUnreadable
        The file is missing or not a slide.
    MissingMpp
        The file does not say its resolution and none was supplied.
    ConfigError
        The supplied resolution is not a positive number.
    """
    if path.is_dir():
        return open_images(path, mpp=mpp, fallback_mpp=fallback_mpp)
    reference = open_openslide(path, mpp=mpp, fallback_mpp=fallback_mpp)
    if not fast:
        return reference
    try:
        return open_tiff(path, reference, kept=kept)
    except NotForTiffReader as reason:
        reference.rule = f"openslide: {reason}"
        return reference
    except BaseException:
        reference.close()
        raise
