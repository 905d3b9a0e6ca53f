"""The reference reader: OpenSlide, for every format it knows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import numpy as np
import openslide
from PIL import Image

from histofed.core.types import SlideInfo
from histofed.errors import HistofedError, SlideUnreadable
from histofed.io.readers.base import read_thumbnail
from histofed.io.readers.resolution import slide_mpp
from histofed.io.readers.tiff_levels import VENDORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BLOCK_PX = 2**26
"""Pixels of the largest block of a tiled TIFF that is believed; scanners write 2**18 at most."""

BOUNDS = (
    openslide.PROPERTY_NAME_BOUNDS_X,
    openslide.PROPERTY_NAME_BOUNDS_Y,
    openslide.PROPERTY_NAME_BOUNDS_WIDTH,
    openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
)


class OpenSlideReader:
    """A slide opened with OpenSlide. Made by `open_openslide`."""

    def __init__(self, slide: openslide.OpenSlide, info: SlideInfo, path: Path) -> None:
        self._slide = slide
        self._path = path
        self._downsamples = slide.level_downsamples  # a handle that failed tells them no more
        self.info = info
        self.rule = "openslide"
        self.blocks_decoded = self.blocks_touched = 0  # it does not tell

    def read(
        self, level: int, x_px: int, y_px: int, *, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle of one level as RGB; see `SlideReader.read`."""
        # OpenSlide turns the place back into pixels of the level with this one number.
        down = self._downsamples[level]
        location_px0 = (round(x_px * down), round(y_px * down))
        try:
            rgba = self._slide.read_region(location_px0, level, (width_px, height_px))
        except openslide.OpenSlideError as error:
            # OpenSlide refuses everything after its first error; the rest may well be readable. The
            # old handle is closed when the last thread that reads from it lets go of it.
            with suppress(openslide.OpenSlideError):
                self._slide = openslide.OpenSlide(str(self._path))
            msg = (
                f"slide {self._path.name}: the region at x={location_px0[0]}, y={location_px0[1]} "
                f"(level 0 pixels) cannot be read ({error}); the file is damaged: copy it again"
            )
            raise SlideUnreadable(msg) from error
        return on_white(rgba)

    def read_many(
        self,
        level: int,
        corners_N2: NDArray[np.int64],
        *,
        width_px: int,
        height_px: int,
        batch_size: int,
        threads: int = 0,
        skip_damaged: bool = False,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Read many rectangles of one level, row by row; see `SlideReader.read_many`."""

        def read(corner: list[int]) -> NDArray[np.uint8] | None:
            try:
                return self.read(level, *corner, width_px=width_px, height_px=height_px)
            except SlideUnreadable:
                if skip_damaged:
                    return None
                raise

        order_N = np.lexsort((corners_N2[:, 0], corners_N2[:, 1]))
        room = np.empty((batch_size, height_px, width_px, 3), dtype=np.uint8)
        with ThreadPoolExecutor(max(threads, 1), thread_name_prefix="regions") as pool:
            # Threads share a handle, so its errors: alone, each is of the rectangle being read.
            every = pool.map if threads and not skip_damaged else map
            for start in range(0, len(order_N), batch_size):
                numbers_B = order_N[start : start + batch_size]
                found: list[int] = []
                regions = every(read, corners_N2[numbers_B].tolist())
                for number, pixels in zip(numbers_B.tolist(), regions, strict=True):
                    if pixels is not None:
                        room[len(found)] = pixels
                        found.append(number)
                if found:
                    yield np.array(found), room[: len(found)]

    def thumbnail(self, mpp: float) -> NDArray[np.uint8]:
        """Read the whole slide; see `SlideReader.thumbnail`."""
        return read_thumbnail(self, mpp)

    def close(self) -> None:
        """Release the file."""
        self._slide.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_openslide(
    path: Path, *, mpp: float | None = None, fallback_mpp: float | None = None
) -> OpenSlideReader:
    """Open a slide.

    Parameters
    ----------
    mpp
        Microns per level-0 pixel of this slide; it overrides what the file says.
    fallback_mpp
        Microns per level-0 pixel, used only where the file does not say.

    Raises
    ------
    SlideUnreadable
        The file is missing or not a slide.
    MissingMpp
        The file does not say a plausible resolution and none was supplied.
    SlideError
        The pixels are not square.
    ConfigError
        The supplied resolution is not a positive number.
    """
    if not path.is_file():
        what = "no such file; correct its path in the cohort table"
        if path.is_symlink():
            what = f"a link to {path.readlink()}, which is not there; correct the link"
        msg = f"slide {path}: {what}"
        raise SlideUnreadable(msg)
    try:
        slide = openslide.OpenSlide(str(path))
    except openslide.OpenSlideError as error:
        size_bytes = path.stat().st_size
        msg = (
            f"slide {path.name}: OpenSlide cannot open it ({error}); the file has {size_bytes:,} "
            "bytes: if the original has more it is truncated, copy it again; or remove it"
        )
        raise SlideUnreadable(msg) from error
    try:
        _check_blocks(slide, path)
        found_mpp, mpp_from = slide_mpp(
            slide.properties, path.name, mpp=mpp, fallback_mpp=fallback_mpp
        )
        info = SlideInfo(
            mpp=found_mpp,
            mpp_from=mpp_from,
            level_sizes_px=tuple(slide.level_dimensions),
            vendor=slide.properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
            objective_power=_number(slide, openslide.PROPERTY_NAME_OBJECTIVE_POWER),
            scanned_from_px0=scanned_from_px0(slide.properties),
        )
    except HistofedError:
        slide.close()
        raise
    return OpenSlideReader(slide, info, path)


def _check_blocks(slide: openslide.OpenSlide, path: Path) -> None:
    """Refuse a damaged size of blocks: OpenSlide takes the memory for it, or ends the process."""
    if slide.properties.get(openslide.PROPERTY_NAME_VENDOR) not in VENDORS:
        return  # others store whole levels in one piece, and that is not read in one
    for level in range(slide.level_count):
        width_px, height_px = (
            int(slide.properties.get(f"openslide.level[{level}].tile-{side}", 0))
            for side in ("width", "height")
        )
        if width_px * height_px > MAX_BLOCK_PX:
            msg = (
                f"slide {path.name}: level {level} is stored in blocks of {width_px} x {height_px} "
                f"pixels, and at most {MAX_BLOCK_PX:,} pixels are read at once; the file is "
                "damaged: copy it again"
            )
            raise SlideUnreadable(msg)


def scanned_from_px0(properties: Mapping[str, str]) -> tuple[int, int]:
    """Return where the scanned part of a slide begins: MIRAX and others leave a wide margin.

    QuPath cuts a slide to it where all four properties are whole numbers, and counts from its
    corner (OpenslideImageServer, since QuPath 0.2).
    """
    try:
        x, y, _, _ = (int(properties[name]) for name in BOUNDS)
    except (KeyError, ValueError):
        return 0, 0
    return x, y


def _number(slide: openslide.OpenSlide, name: str) -> float | None:
    """Return a numeric property, or None where it is absent or not a number."""
    text = slide.properties.get(name)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def on_white(rgba: Image.Image) -> NDArray[np.uint8]:
    """Flatten RGBA on white: what a scanner did not scan is background, not black."""
    pixels = np.asarray(rgba)
    if pixels[..., 3].min() == 255:
        return np.ascontiguousarray(pixels[..., :3])
    canvas = Image.new("RGB", rgba.size, (255, 255, 255))
    canvas.paste(rgba, mask=rgba.getchannel("A"))
    return np.asarray(canvas)
