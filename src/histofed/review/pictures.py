"""Pictures of a slide as JPEG: zoom tiles, the whole slide small, and single tiles of the model."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING

import simplejpeg

from histofed.core.memory import Memory
from histofed.errors import SlideError
from histofed.review import deepzoom

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from histofed.io.readers import SlideReader
    from histofed.review.data import ReviewData
    from histofed.review.pool import SlidePool

JPEG_QUALITY = 85
PICTURES_BYTES = 128 << 20
"""Memory for pictures: some three thousand zoom tiles."""

AT_ONCE = max(4, os.cpu_count() or 1)
"""Pictures made at the same time: one of a slide without a pyramid takes over 100 MiB meanwhile."""

THUMBNAIL_PX = 320
"""Longer side of a thumbnail, at most."""


class Pictures:
    """Makes the pictures of a run's slides, and keeps those made last.

    Raises
    ------
    SlideError
        From every method: the slide cannot be read.
    LookupError
        From every method: the slide has no such part.
    """

    def __init__(self, site: ReviewData, pool: SlidePool) -> None:
        self._site = site
        self._pool = pool
        self._turns = threading.Semaphore(AT_ONCE)
        self._memory: Memory[tuple[object, ...], bytes] = Memory(PICTURES_BYTES, size=len)

    def etag(self, slide_id: str, *part: object) -> str:
        """Return what tells a picture from another, and from itself of another file."""
        name = repr((slide_id, self._pool.stamp(slide_id), JPEG_QUALITY, part))
        return f'"{hashlib.blake2b(name.encode(), digest_size=12).hexdigest()}"'

    def zoom_tile(self, slide_id: str, level: int, *, col: int, row: int) -> bytes:
        """Return a tile of the viewer."""

        def read(reader: SlideReader) -> NDArray[np.uint8]:
            where = deepzoom.zoom_tile(reader.info, level, col=col, row=row)
            if where is None or level < deepzoom.min_level(reader.info):
                raise LookupError(level, col, row)
            return deepzoom.read_zoom_tile(reader, where)

        return self._picture(slide_id, ("zoom", level, col, row), read)

    def thumbnail(self, slide_id: str) -> bytes:
        """Return the whole slide, its longer side `THUMBNAIL_PX` or up to half that."""

        def read(reader: SlideReader) -> NDArray[np.uint8]:
            info = reader.info
            longer_px0 = max(info.width_px0, info.height_px0)
            too_fine = max(0, (-(-longer_px0 // THUMBNAIL_PX) - 1).bit_length())
            level = deepzoom.max_level(info) - too_fine
            where = deepzoom.zoom_tile(info, level, col=0, row=0)
            if where is None or level < deepzoom.min_level(info):
                msg = f"slide {slide_id} is too large to shrink: it has no pyramid"
                raise SlideError(msg)
            return deepzoom.read_zoom_tile(reader, where)

        return self._picture(slide_id, ("thumbnail",), read)

    def square(self, slide_id: str, x_px0: int, y_px0: int, *, side_px0: float, px: int) -> bytes:
        """Return a square of the slide, ``px`` pixels a side; white beyond the border."""

        def read(reader: SlideReader) -> NDArray[np.uint8]:
            return deepzoom.read_square(reader, x_px0, y_px0, side_px0=side_px0, px=px)

        return self._picture(slide_id, ("square", x_px0, y_px0, side_px0, px), read)

    def _picture(self, slide_id: str, part: tuple[object, ...], read: object) -> bytes:
        assert callable(read)
        key = (slide_id, self._pool.stamp(slide_id), *part)

        def make() -> bytes:
            with self._turns, self._pool.lend(slide_id) as reader:
                pixels = read(reader)
                return simplejpeg.encode_jpeg(
                    pixels, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="420"
                )

        return self._memory.get(key, make)
