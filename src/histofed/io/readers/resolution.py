"""How many microns a pixel is: what a slide's properties say, or what was supplied; never a guess.

OpenSlide already applies the vendors' rules (Aperio's ``MPP``, the tags of a Hamamatsu file, the
pixel spacing of Philips and DICOM) and gives one number per axis. What is decided here is whether
that number is a measurement. In a generic TIFF it comes from the resolution tags (TIFF 6.0, section
8), into which most software writes the dots per inch of a screen or a printer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from histofed.core.tiling import MAX_MPP, MIN_MPP
from histofed.errors import ConfigError, MissingMpp, SlideError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.types import MppSource

MPP_X, MPP_Y, VENDOR = "openslide.mpp-x", "openslide.mpp-y", "openslide.vendor"

PLAUSIBLE_MPP = (0.05, 20.0)
"""Outside this range a stated resolution is a default of the software, not a measurement."""

PLAUSIBLE_TAG_MPP = (MIN_MPP, MAX_MPP)
"""The same of bare TIFF tags: 4800 dots per inch are 5.3 um."""

BARE_TAGS = ("generic-tiff", "unknown")
"""Vendors whose resolution is only that of the TIFF tags."""

MAX_MPP_ASPECT = 1.01
"""Largest ratio of the horizontal to the vertical resolution that still counts as square."""


def slide_mpp(
    properties: Mapping[str, str],
    slide: str,
    *,
    mpp: float | None = None,
    fallback_mpp: float | None = None,
) -> tuple[float, MppSource]:
    """Return the microns per level-0 pixel of a slide, and who said so.

    Parameters
    ----------
    properties
        As OpenSlide gives them.
    slide
        Its name, for messages.
    mpp
        Supplied for this slide; it overrides what the file says.
    fallback_mpp
        Supplied for slides whose file does not say.

    Raises
    ------
    ConfigError
        The supplied resolution is not a positive number.
    MissingMpp
        The file does not say, or says what no scanner measured, and nothing was supplied.
    SlideError
        The pixels are not square.
    """
    for value in (mpp, fallback_mpp):
        if value is not None and not (value > 0 and math.isfinite(value)):
            msg = f"slide {slide}: mpp={value} was supplied; microns per pixel are positive"
            raise ConfigError(msg)
    if mpp is not None:
        return mpp, "table"
    mpp_x, mpp_y = _number(properties, MPP_X), _number(properties, MPP_Y)
    # mpp=... speaks of slides that say nothing; a table overrides what one says.
    override = (
        "supply it with mpp_table=FILE (columns slide,mpp), or in the cohort table's column mpp"
    )
    remedy = override.replace("with ", "with mpp=... (microns per pixel), ", 1)
    if mpp_x is None or mpp_y is None:
        if fallback_mpp is not None:
            return fallback_mpp, "option"
        msg = f"slide {slide}: the file does not say its microns per pixel; {remedy}"
        raise MissingMpp(msg)
    bare = properties.get(VENDOR, "unknown") in BARE_TAGS
    low, high = PLAUSIBLE_TAG_MPP if bare else PLAUSIBLE_MPP
    if not (low <= mpp_x <= high and low <= mpp_y <= high):
        if bare and fallback_mpp is not None:
            return fallback_mpp, "option"  # dots per inch of a screen say nothing of the slide
        dots = f" ({25_400 / mpp_x:.0f} dots per inch in its TIFF tags)" if bare else ""
        msg = (
            f"slide {slide}: the stated {mpp_x:g} x {mpp_y:g} microns per pixel{dots} is not a "
            f"scanner's resolution ({low:g} to {high:g}); {remedy if bare else override}"
        )
        raise MissingMpp(msg)
    if max(mpp_x, mpp_y) / min(mpp_x, mpp_y) > MAX_MPP_ASPECT:
        msg = (
            f"slide {slide}: pixels are not square ({mpp_x:g} x {mpp_y:g} microns); "
            f"export the slide with square pixels, or, if they are, {override}"
        )
        raise SlideError(msg)
    return math.sqrt(mpp_x * mpp_y), "file"


def _number(properties: Mapping[str, str], name: str) -> float | None:
    """Return a numeric property, or None where it is absent or not a finite number."""
    try:
        found = float(properties[name])
    except (KeyError, ValueError):
        return None
    return found if math.isfinite(found) else None
