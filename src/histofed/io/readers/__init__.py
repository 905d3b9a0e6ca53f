"""Reading slides: one protocol, OpenSlide as the reference.

``open_slide(path)`` is the only door; nothing else in the house imports ``openslide``.
"""

from histofed.io.readers.base import SLIDE_SUFFIXES, SlideReader, find_slides, slide_digest
from histofed.io.readers.openslide import open_slide

__all__ = ["SLIDE_SUFFIXES", "SlideReader", "find_slides", "open_slide", "slide_digest"]
