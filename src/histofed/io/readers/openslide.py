"""The reference reader: OpenSlide, for every format it knows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import numpy as np
import openslide
from PIL import Image

from histofed.core.tiling import downsamples, level_for_mpp
from histofed.core.types import SlideInfo
from histofed.errors import HistofedError, SlideUnreadable
from histofed.io.readers.resolution import slide_mpp

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class OpenSlideReader:
    """A slide opened with OpenSlide. Made by `open_slide`."""

    def __init__(self, slide: openslide.OpenSlide, info: SlideInfo, path: Path) -> None:
        self._slide = slide
        self._path = path
        self.info = info

    def read(
        self, level: int, x_px: int, y_px: int, *, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle of one level as RGB; see `SlideReader.read`."""
        # OpenSlide turns the place back into pixels of the level with this one number.
        down = self._slide.level_downsamples[level]
        location_px0 = (round(x_px * down), round(y_px * down))
        try:
            rgba = self._slide.read_region(location_px0, level, (width_px, height_px))
        except openslide.OpenSlideError as error:
            # OpenSlide refuses everything after its first error; the rest may well be readable.
            self._slide.close()
            self._slide = openslide.OpenSlide(str(self._path))
            msg = (
                f"slide {self._path.name}: the region at x={location_px0[0]}, y={location_px0[1]} "
                f"(level 0 pixels) cannot be read ({error}); the file is damaged: copy it again"
            )
            raise SlideUnreadable(msg) from error
        return _on_white(rgba)

    def thumbnail(self, mpp: float) -> NDArray[np.uint8]:
        """Read the whole slide; see `SlideReader.thumbnail`."""
        info = self.info
        level = level_for_mpp(info, mpp)
        width_px, height_px = info.level_sizes_px[level]
        pixels = self.read(level, 0, 0, width_px=width_px, height_px=height_px)
        down_x, down_y = downsamples(info, level)
        out_width = math.ceil(info.width_px0 * info.mpp / mpp)
        out_height = math.ceil(info.height_px0 * info.mpp / mpp)
        # The last row and column hang over the border, on white: the scale is what must be exact.
        box = (0.0, 0.0, out_width * mpp / info.mpp / down_x, out_height * mpp / info.mpp / down_y)
        canvas_px = (max(math.ceil(box[2]), width_px), max(math.ceil(box[3]), height_px))
        canvas = Image.new("RGB", canvas_px, (255, 255, 255))
        canvas.paste(Image.fromarray(pixels), (0, 0))
        return np.asarray(canvas.resize((out_width, out_height), Image.Resampling.BOX, box=box))

    def close(self) -> None:
        """Release the file."""
        self._slide.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_slide(
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
        msg = f"slide {path}: no such file; correct its path in the cohort table"
        raise SlideUnreadable(msg)
    try:
        slide = openslide.OpenSlide(str(path))
    except openslide.OpenSlideError as error:
        msg = f"slide {path.name}: OpenSlide cannot open it ({error}); copy it again or remove it"
        raise SlideUnreadable(msg) from error
    try:
        info = SlideInfo(
            mpp=slide_mpp(slide.properties, path.name, mpp=mpp, fallback_mpp=fallback_mpp),
            level_sizes_px=tuple(slide.level_dimensions),
            vendor=slide.properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
            objective_power=_number(slide, openslide.PROPERTY_NAME_OBJECTIVE_POWER),
        )
    except HistofedError:
        slide.close()
        raise
    return OpenSlideReader(slide, info, path)


def _number(slide: openslide.OpenSlide, name: str) -> float | None:
    """Return a numeric property, or None where it is absent or not a number."""
    text = slide.properties.get(name)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _on_white(rgba: Image.Image) -> NDArray[np.uint8]:
    """Flatten RGBA on white: what a scanner did not scan is background, not black."""
    pixels = np.asarray(rgba)
    if pixels[..., 3].min() == 255:
        return np.ascontiguousarray(pixels[..., :3])
    canvas = Image.new("RGB", rgba.size, (255, 255, 255))
    canvas.paste(rgba, mask=rgba.getchannel("A"))
    return np.asarray(canvas)
