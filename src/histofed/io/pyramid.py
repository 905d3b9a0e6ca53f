"""Writing slides: pyramidal tiled JPEG TIFF, as scanners write it and OpenSlide reads it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tifffile
from PIL import Image

from histofed.errors import ConfigError
from histofed.io.atomic import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TILE_PX = 256
JPEG_QUALITY = 85
DOWNSAMPLES = (1, 4, 16)


def write_pyramid(
    path: Path,
    rgb_HW3: NDArray[np.uint8],
    *,
    mpp: float,
    objective_power: float | None = None,
    vendor: Literal["aperio", "generic"] = "aperio",
) -> Path:
    """Write a slide: all levels or, if anything fails, nothing.

    The same pixels and arguments give the same bytes.

    Parameters
    ----------
    rgb_HW3
        Level 0 as uint8. Coarser levels cover exactly the same field.
    mpp
        Microns per level-0 pixel.
    objective_power
        Stated magnification. Only ``aperio`` has a place for it.
    vendor
        ``aperio`` writes the description of an SVS; ``generic`` a plain tiled TIFF whose
        resolution is in the TIFF tags (pixels per centimetre).

    Raises
    ------
    ConfigError
        The image is not RGB uint8, the resolution is not positive, the vendor is unknown, or an
        objective power is given to a format that cannot hold it.
    """
    _check(rgb_HW3, mpp=mpp, objective_power=objective_power, vendor=vendor)
    height_px, width_px = rgb_HW3.shape[:2]
    tags = (
        {"description": _aperio_description(width_px, height_px, mpp, objective_power)}
        if vendor == "aperio"
        else {"resolution": (_pixels_per_cm(mpp),) * 2, "resolutionunit": "CENTIMETER"}
    )
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=False) as tiff:
        for level, picture in enumerate(_levels(rgb_HW3)):
            # A resolution tag speaks of its own level; OpenSlide reads the first one.
            tiff.write(
                picture,
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": JPEG_QUALITY},
                subfiletype=int(level > 0),
                metadata=None,
                software=False,
                maxworkers=1,
                **(tags if level == 0 or vendor == "aperio" else {}),
            )
    return path


def _check(
    rgb_HW3: NDArray[Any], *, mpp: float, objective_power: float | None, vendor: str
) -> None:
    if rgb_HW3.dtype != np.uint8 or rgb_HW3.ndim != 3 or rgb_HW3.shape[2] != 3:
        msg = (
            f"a slide is uint8 (height, width, 3), got {rgb_HW3.dtype} {rgb_HW3.shape}; convert it"
        )
        raise ConfigError(msg)
    if min(rgb_HW3.shape) == 0:
        msg = f"a slide must have pixels, got shape {rgb_HW3.shape}"
        raise ConfigError(msg)
    if not 0 < mpp < float("inf"):
        msg = f"mpp (microns per pixel) must be a positive number, got {mpp}"
        raise ConfigError(msg)
    if vendor not in ("aperio", "generic"):
        msg = f"vendor must be 'aperio' or 'generic', got {vendor!r}"
        raise ConfigError(msg)
    if vendor == "generic" and objective_power is not None:
        msg = (
            f"a generic TIFF has no place for an objective power, got {objective_power:g}; "
            "leave it out or write vendor='aperio'"
        )
        raise ConfigError(msg)


def _aperio_description(
    width_px: int, height_px: int, mpp: float, objective_power: float | None
) -> str:
    """Return the text by which readers recognise an SVS and learn its resolution."""
    power = "" if objective_power is None else f"|AppMag = {objective_power:g}"
    return (
        "Aperio Image Library v12.0.0\r\n"
        f"{width_px}x{height_px} ({TILE_PX}x{TILE_PX}) JPEG/YCC Q={JPEG_QUALITY}"
        f"{power}|MPP = {mpp:.10g}"
    )


def _pixels_per_cm(mpp: float) -> tuple[int, int]:
    """Return the resolution as the TIFF rational closest to it."""
    ratio = (Fraction(10_000) / Fraction(mpp)).limit_denominator(10_000)
    return ratio.numerator, ratio.denominator


def _levels(rgb_HW3: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return the pyramid. A level is at least one pixel; equal levels are not repeated."""
    height_px, width_px = rgb_HW3.shape[:2]
    levels = [rgb_HW3]
    picture = Image.fromarray(rgb_HW3)
    for downsample in DOWNSAMPLES[1:]:
        size = max(width_px // downsample, 1), max(height_px // downsample, 1)
        if size == picture.size:
            break
        # Stretched over the whole field: a pixel covers exactly width / level width.
        picture = picture.resize(size, Image.Resampling.BOX)
        levels.append(np.asarray(picture))
    return levels
