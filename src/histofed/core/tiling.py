"""All level and resolution arithmetic: where tiles lie and what to read for them.

Lengths are in microns, level-0 pixels (``_px0``) or pixels of a named level. A tile's side in
level-0 pixels is a real number (112 um at 0.2527 mpp is 443.21 px); its corner is rounded to a
whole pixel, its side never is, so the physical side is exact on every scanner.

Array suffixes: N tiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from histofed.core.areas import borders, check_areas
from histofed.errors import ConfigError, SlideError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

MIN_MPP, MAX_MPP = 0.05, 5.0
"""Microns per level-0 pixel that optics give: a 100x objective before a camera of 5 um pixels, and
a 2x one before 10 um pixels. Beyond them a number is probably not microns per pixel."""

MAX_ENLARGEMENT = 1.1
"""A slide may be at most this much coarser than the tiles asked of it (0.5032 mpp read as 0.5)."""


TilesOfImages = Literal["fields", "cells"]
"""Of an image of a folder: as many whole tiles as fit, or one around its middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSpec:
    """What a tile is, in physical terms.

    Attributes
    ----------
    size_px
        Side of the square picture that the encoder receives.
    mpp
        Microns per pixel of that picture.
    overlap_px
        Shared margin of neighbours, in pixels of that picture.
    min_tissue
        Smallest fraction of a tile that must be tissue, in [0, 1].
    min_tissue_um2
        Smallest area of a tile that must be tissue, square microns, whatever the tile's size.
    images
        What the images of a folder are: ``fields`` that are tiled, or ``cells`` with one tile each,
        around the middle: a larger image is cut, a smaller one padded with white.
    """

    size_px: int = 224
    mpp: float = 0.5
    overlap_px: int = 0
    min_tissue: float = 0.5
    min_tissue_um2: float = 0.0
    images: TilesOfImages = "fields"

    def __post_init__(self) -> None:
        """Refuse what no slide could satisfy."""
        # 1 and 1.0 are the same resolution, so they must have the same digest.
        object.__setattr__(self, "mpp", float(self.mpp))
        object.__setattr__(self, "min_tissue", float(self.min_tissue))
        object.__setattr__(self, "min_tissue_um2", float(self.min_tissue_um2))
        if self.size_px < 1:
            msg = f"tiling.size_px must be at least 1, got {self.size_px}"
            raise ConfigError(msg)
        if not (self.mpp > 0 and math.isfinite(self.mpp)):
            msg = f"tiling.mpp (microns per pixel) must be a positive number, got {self.mpp}"
            raise ConfigError(msg)
        if not 0 <= self.overlap_px < self.size_px:
            msg = f"tiling.overlap_px must be in 0..{self.size_px - 1}, got {self.overlap_px}"
            raise ConfigError(msg)
        if not 0 <= self.min_tissue <= 1:
            msg = f"tiling.min_tissue is a fraction in 0..1, got {self.min_tissue}"
            raise ConfigError(msg)
        if not 0 <= self.min_tissue_um2 <= self.side_um**2:
            msg = (
                f"tiling.min_tissue_um2 must be in 0..{self.side_um**2:g} (the area of a tile in "
                f"square microns), got {self.min_tissue_um2}"
            )
            raise ConfigError(msg)
        if self.images not in get_args(TilesOfImages):
            known = " or ".join(get_args(TilesOfImages))
            msg = f"tiling.images must be {known}, got {self.images!r}"
            raise ConfigError(msg)

    @property
    def least_tissue(self) -> float:
        """Fraction of a tile that must be tissue, after both rules."""
        return max(self.min_tissue, self.min_tissue_um2 / self.side_um**2)

    @property
    def side_um(self) -> float:
        """Physical side of a tile in microns."""
        return self.size_px * self.mpp

    def side_px0(self, mpp: float) -> float:
        """Side of a tile in level-0 pixels of a slide at ``mpp``."""
        return self.side_um / mpp

    def step_px0(self, mpp: float) -> float:
        """Distance between neighbouring corners in level-0 pixels of a slide at ``mpp``."""
        return (self.size_px - self.overlap_px) * self.mpp / mpp


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelBox:
    """A rectangle to read from one level, and the part of it that is the tile.

    Attributes
    ----------
    x_px, y_px, width_px, height_px
        Whole pixels of ``level``: the smallest rectangle that encloses the tile.
    box
        ``(left, top, right, bottom)`` of the tile inside that rectangle, in real pixels.
    """

    level: int
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelBoxes:
    """What `LevelBox` says, of many tiles.

    Attributes
    ----------
    corners_N2, sizes_N2
        Corner (x, y) and (width, height) of the rectangles to read, whole pixels of ``level``.
    boxes_N4
        ``(left, top, right, bottom)`` of each tile inside its rectangle, in real pixels.
    """

    level: int
    corners_N2: NDArray[np.int64]
    sizes_N2: NDArray[np.int64]
    boxes_N4: NDArray[np.float64]

    def __getitem__(self, number: int) -> LevelBox:
        """Return the box of one tile."""
        x_px, y_px = self.corners_N2[number].tolist()
        width_px, height_px = self.sizes_N2[number].tolist()
        left, top, right, bottom = self.boxes_N4[number].tolist()
        return LevelBox(
            level=self.level,
            x_px=x_px,
            y_px=y_px,
            width_px=width_px,
            height_px=height_px,
            box=(left, top, right, bottom),
        )


def downsamples(info: SlideInfo, level: int) -> tuple[float, float]:
    """Return level-0 pixels per pixel of ``level``, along x and y (1.9998 stays 1.9998)."""
    width_px, height_px = info.level_sizes_px[level]
    return info.width_px0 / width_px, info.height_px0 / height_px


def level_for_mpp(info: SlideInfo, mpp: float) -> int:
    """Return the coarsest level that is still at least as fine as ``mpp``, else level 0."""
    best = 0
    for level in range(len(info.level_sizes_px)):
        level_mpp = info.mpp * max(downsamples(info, level))
        if level_mpp <= mpp * 1.001:
            best = level
    return best


def check_resolution(mpp: float, info: SlideInfo, slide_id: str, *, option: str) -> None:
    """Refuse to invent detail that the scanner did not see.

    Parameters
    ----------
    mpp
        Microns per pixel at which the slide is to be looked at.
    option
        What asks for it, for the message.

    Raises
    ------
    SlideError
        The slide is more than `MAX_ENLARGEMENT` times coarser.
    """
    if info.mpp > mpp * MAX_ENLARGEMENT:
        msg = (
            f"slide {slide_id}: level 0 is at {info.mpp:g} microns per pixel (says "
            f"{info.mpp_source}), coarser than the {mpp:g} of {option}; correct that, or set "
            f"{option} to {info.mpp:g} or more"
        )
        raise SlideError(msg)


def check_size(spec: TileSpec, info: SlideInfo, slide_id: str) -> None:
    """Refuse a slide in which not one tile fits: its resolution is probably wrong.

    Raises
    ------
    SlideError
        It, or an image of a folder, is narrower or lower than a tile.
    """
    if info.images:
        check_areas(info, slide_id, side_px0=spec.side_px0(info.mpp), padded=spec.images == "cells")
    if not len(full_grid(spec, info)):
        width_um, height_um = (px0 * info.mpp for px0 in info.level_sizes_px[0])
        msg = (
            f"slide {slide_id}: {width_um:.4g} x {height_um:.4g} um ({info.width_px0} x "
            f"{info.height_px0} pixels at {info.mpp:g} microns per pixel, says {info.mpp_source}) "
            f"holds no whole tile of {spec.side_um:g} um; correct the microns per pixel, or ask "
            "for smaller tiles (tiling.size_px, tiling.mpp)"
        )
        raise SlideError(msg)


def full_grid(spec: TileSpec, info: SlideInfo, *, over_border: bool = False) -> NDArray[np.int64]:
    """Return the corners of every whole tile of the slide, row by row.

    A tile that would hang over the slide's right or lower border is none: part of it was not seen.
    Of a folder of images, each is tiled from its own corner, and no tile lies in two.

    Parameters
    ----------
    over_border
        Return those tiles instead, at most one column and one row of them; of images, ask of each.

    Returns
    -------
    coords_N2
        Top-left (x, y) in level-0 pixels. The tile of column c and row r starts at
        ``round(c * step)``, ``round(r * step)``: rounding never accumulates.
    """
    if not info.images:
        return _grid(spec, info.mpp, (info.width_px0, info.height_px0), over_border=over_border)
    assert not over_border
    areas_A4 = np.array(info.areas_px0)
    if spec.images == "cells":
        middle_A2 = areas_A4[:, :2] + (areas_A4[:, 2:] - spec.side_px0(info.mpp)) / 2
        corners_N2 = np.rint(middle_A2).astype(np.int64)
    else:
        grids = [_grid(spec, info.mpp, (w, h)) for w, h in areas_A4[:, 2:].tolist()]
        counts_A = [len(grid) for grid in grids]
        corners_N2 = np.concatenate(grids) + np.repeat(areas_A4[:, :2], counts_A, axis=0)
    return corners_N2[np.lexsort(corners_N2.T)]


def _grid(
    spec: TileSpec, mpp: float, size_px0: tuple[int, int], *, over_border: bool = False
) -> NDArray[np.int64]:
    """Return the corners of the tiles of one area, from its corner."""
    side_px0, step_px0 = spec.side_px0(mpp), spec.step_px0(mpp)

    def corners(length_px0: int) -> tuple[NDArray[np.int64], int]:
        # A tile that ends within half a pixel of the border is whole: that is rounding.
        n_whole = max(math.floor((length_px0 - side_px0 + 0.5) / step_px0) + 1, 0)
        end_px0 = (n_whole - 1) * step_px0 + side_px0 if n_whole else 0.0
        n_over = int(over_border and end_px0 < length_px0 - 0.5)
        starts: NDArray[np.int64] = np.rint(np.arange(n_whole + n_over) * step_px0).astype(np.int64)
        return starts, n_whole

    (xs, n_columns), (ys, n_rows) = corners(size_px0[0]), corners(size_px0[1])
    grid: NDArray[np.int64] = np.stack(np.meshgrid(xs, ys), axis=-1)
    if over_border:
        over = np.ones(grid.shape[:2], dtype=np.bool_)
        over[:n_rows, :n_columns] = False
        return grid[over]
    return grid.reshape(-1, 2)


def level_box(spec: TileSpec, info: SlideInfo, x_px0: int, y_px0: int) -> LevelBox:
    """Return what to read for the tile whose corner is ``(x_px0, y_px0)``."""
    return level_boxes(spec, info, np.array([[x_px0, y_px0]]))[0]


def level_boxes(spec: TileSpec, info: SlideInfo, coords_N2: NDArray[np.int64]) -> LevelBoxes:
    """Return what to read for each tile."""
    level = level_for_mpp(info, spec.mpp)
    downsamples_2 = np.array(downsamples(info, level))
    length_2 = np.array(info.level_sizes_px[level])
    side_2 = spec.side_px0(info.mpp) / downsamples_2
    padded = spec.images == "cells"
    low_N2, high_N2 = borders(info, coords_N2, length_2=length_2, side_2=side_2, padded=padded)
    # A rounded corner may put the last tile up to half a pixel over the border: it is moved back,
    # not cut, so that its side stays exact.
    start_N2 = np.maximum(np.minimum(coords_N2 / downsamples_2, high_N2 - side_2), low_N2)
    end_N2 = np.minimum(start_N2 + side_2, high_N2)
    corners_N2 = np.floor(start_N2).astype(np.int64)
    return LevelBoxes(
        level=level,
        corners_N2=corners_N2,
        sizes_N2=np.minimum(np.ceil(end_N2).astype(np.int64), length_2) - corners_N2,
        boxes_N4=np.concatenate([start_N2 - corners_N2, end_N2 - corners_N2], axis=1),
    )
