"""What was said of a slide and its tiles, held against what their file shows.

Array suffixes: N tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from histofed.errors import StoreError
from histofed.io.interop.reading import corners_of
from histofed.io.readers.resolution import PLAUSIBLE_MPP

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

UM_OF_1X = 10.0
"""Microns per pixel at a magnification of 1: by custom 0.5 are called 20x, 0.25 are called 40x."""

SLIDE_FACTORS = (0.4, 1.35)
"""Microns per pixel of a slide, as a multiple of what its magnification stands for.

A camera adapter makes pixels finer than the objective says: scanners with a 20x objective give 0.23
to 0.50. TRIDENT calls everything from 0.3 to 0.6 microns 20x.
"""

TILE_FACTORS = (0.6, 1.35)
"""The same of tiles, of which no objective is spoken: TRIDENT's 20x is 0.3 to 0.6 microns."""

MIN_TILE_MAGNIFICATION = 2
"""Below, a magnification rounded to a whole number says too little."""

MIN_NEIGHBOURS = 4
"""So many distances are needed to tell the step of a grid."""


MAX_ROUNDING = 0.01
"""Share of a side by which others round it or the step."""


class Side(NamedTuple):
    """Side of a tile in level-0 pixels, and who says so.

    Attributes
    ----------
    given
        The options that say it; empty where the file does.
    fitting
        What would say a side of as much as the step of the grid, where options say it.
    """

    px0: float
    given: str = ""
    fitting: str = ""


def check_mpp(path: Path, mpp: float, *, tile_mpp: float) -> None:
    """Refuse microns per pixel that no scanner has.

    Raises
    ------
    StoreError
        Those of the slide, or those that follow for its tiles.
    """
    low, high = PLAUSIBLE_MPP
    if not low <= mpp <= high:
        msg = f"{path}: mpp={mpp:g} was given for its slide; scanners have {low:g} to {high:g} "
        msg += "microns per pixel: correct mpp=..., or the slide in the cohort table"
        raise StoreError(msg)
    if tile_mpp < low:
        msg = f"{path}: its tiles would have {tile_mpp:.4g} microns per pixel; no microscope shows "
        msg += f"less than {low:g}: correct the size of the tiles, or mpp"
        raise StoreError(msg)


def check_magnification(
    path: Path, *, slide: tuple[float | None, float], tiles: tuple[float | None, float]
) -> None:
    """Refuse a resolution that the magnification in the file contradicts.

    Parameters
    ----------
    slide, tiles
        Magnification as the file says it, None where it does not, and microns per pixel.

    Raises
    ------
    StoreError
        One is out of `SLIDE_FACTORS` or `TILE_FACTORS`.
    """
    (slide_x, mpp), (tiles_x, tile_mpp) = slide, tiles
    if tiles_x is not None and tiles_x < MIN_TILE_MAGNIFICATION:
        tiles_x = None
    for what, name, magnification, found, factors in (
        ("slide", "level0_magnification", slide_x, mpp, SLIDE_FACTORS),
        ("tiles", "target_magnification", tiles_x, tile_mpp, TILE_FACTORS),
    ):
        if magnification is None:
            continue
        low, high = (factor * UM_OF_1X / magnification for factor in factors)
        if not low <= found <= high:
            msg = (
                f"{path}: with mpp={mpp:g} its {what} would have {found:.4g} microns per pixel, "
                f"and {name} is {magnification:g}, which is {low:.3g} to {high:.3g}; correct mpp, "
                "or convert the features without positions (format=features_only)"
            )
            raise StoreError(msg)


def grid_step_px0(coords_N2: NDArray[np.int64]) -> float | None:
    """Return the distance between neighbouring corners of a grid.

    Returns
    -------
    step_px0
        The distance that most tiles have from the next in their row or column, to a pixel; None
        where there are too few such pairs or most differ: single tiles, or tiles drawn at random.
    """
    distances = []
    for line, along in ((1, 0), (0, 1)):
        sorted_N2 = coords_N2[np.lexsort((coords_N2[:, along], coords_N2[:, line]))]
        steps = np.diff(sorted_N2, axis=0)
        distances.append(steps[(steps[:, line] == 0) & (steps[:, along] > 0), along])
    every = np.concatenate(distances)
    if len(every) < MIN_NEIGHBOURS:
        return None
    values, counts = np.unique(every, return_counts=True)
    near = np.abs(every - values[counts.argmax()]) <= 1  # a real step is rounded up and down
    return float(every[near].mean()) if near.mean() > 0.5 else None


def grid_step(file: h5py.File) -> float | None:
    """Return the step of the grid of a file, in its own unit, to a thousandth."""
    step = grid_step_px0(np.rint(corners_of(file, n_features=None) * 1000).astype(np.int64))
    return None if step is None else round(step) / 1000


def checked_overlap_px(
    path: Path,
    coords_N2: NDArray[np.int64],
    *,
    side: Side,
    size_px: int,
    said_px: int | None,
) -> int:
    """Return the overlap of neighbours in pixels of a tile, held against the grid.

    Parameters
    ----------
    size_px
        Side of a tile in the pixels that were encoded.
    said_px
        Overlap that the file or an option says; None where neither does.

    Raises
    ------
    StoreError
        Tiles of this side and overlap are not those of the grid.
    """
    step_px0 = grid_step_px0(coords_N2)
    if step_px0 is None:
        return said_px or 0
    slack_px0 = max(2.0, MAX_ROUNDING * side.px0)
    apart = f"{path}: its tiles are {step_px0:.5g} level-0 pixels apart"
    found_px = round(size_px * (1 - step_px0 / side.px0))
    if said_px is not None:
        wanted_px0 = side.px0 * (1 - said_px / size_px)
        if _is_multiple(step_px0, wanted_px0, slack_px0):
            return said_px
        msg = f"{apart}, and a side of {side.px0:.5g} with an overlap of {said_px} of {size_px} "
        msg += f"pixels makes it {wanted_px0:.5g}; correct {side.given or 'the file'} or the "
        msg += "overlap (overlap_px=...)"
        raise StoreError(msg)
    if abs(step_px0 - side.px0) <= slack_px0:
        return 0
    if side.given:
        wrong = "overlap" if found_px > 0 else "leave gaps"
        msg = f"{apart}, and {side.given} makes them {side.px0:.5g} a side, so that they {wrong}; "
        msg += f"if they touch, give {side.fitting.format(step_px0=step_px0)}"
        if found_px > 0 or _is_multiple(step_px0, side.px0, slack_px0):
            msg += f"; if they {wrong}, say so with overlap_px={max(found_px, 0)}"
        raise StoreError(msg)
    return max(found_px, 0)


def _is_multiple(step_px0: float, wanted_px0: float, slack_px0: float) -> bool:
    """Whether the step is the wanted one, or as many of it as between tiles left out."""
    times = max(round(step_px0 / wanted_px0), 1) if wanted_px0 > 0 else 1
    return abs(step_px0 - times * wanted_px0) <= times * slack_px0
