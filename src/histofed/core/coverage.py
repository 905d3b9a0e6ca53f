"""How much of each tile a coarse map of the slide covers. Array suffixes: N tiles."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.tiling import full_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.tiling import TileSpec
    from histofed.core.types import SlideInfo


def box_means(
    image: NDArray[np.generic], coords_N2: NDArray[np.int64], side_px0: float, px0_per_px: float
) -> NDArray[np.float64]:
    """Return the mean of a coarse map over each tile, counting cut pixels by their area.

    Parameters
    ----------
    image
        ``(H, W)`` map of the slide; one pixel covers ``px0_per_px`` level-0 pixels a side.
    """
    height, width = image.shape
    integral = np.zeros((height + 1, width + 1))
    integral[1:, 1:] = image.astype(np.float64).cumsum(axis=0).cumsum(axis=1)

    def integral_at(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        # Inside a pixel the integral of a piecewise constant map is bilinear: this is exact.
        row = np.minimum(y.astype(np.int64), height - 1)
        col = np.minimum(x.astype(np.int64), width - 1)
        dy, dx = y - row, x - col
        top = integral[row, col] * (1 - dx) + integral[row, col + 1] * dx
        bottom = integral[row + 1, col] * (1 - dx) + integral[row + 1, col + 1] * dx
        return np.asarray(top * (1 - dy) + bottom * dy)

    left = np.clip(coords_N2[:, 0] / px0_per_px, 0, width)
    top = np.clip(coords_N2[:, 1] / px0_per_px, 0, height)
    right = np.clip((coords_N2[:, 0] + side_px0) / px0_per_px, 0, width)
    bottom = np.clip((coords_N2[:, 1] + side_px0) / px0_per_px, 0, height)
    total = (
        integral_at(bottom, right)
        - integral_at(top, right)
        - integral_at(bottom, left)
        + integral_at(top, left)
    )
    area = (side_px0 / px0_per_px) ** 2
    return np.asarray(np.clip(total / area, 0.0, None))


def n_over_border(
    spec: TileSpec, info: SlideInfo, mask: NDArray[np.bool_], px0_per_px: float
) -> int:
    """Return how many tiles with enough tissue hang over the slide's border, or their image's.

    Parameters
    ----------
    mask
        ``(H, W)``, True where there is tissue; one pixel covers ``px0_per_px`` level-0 pixels.
    """
    if info.images and spec.images == "cells":
        return 0
    count = 0
    for left, top, width, height in info.areas_px0:
        alone = replace(info, images=(), level_sizes_px=((width, height),))
        over_N2 = full_grid(spec, alone, over_border=True)
        own = mask[
            int(top / px0_per_px) : math.ceil((top + height) / px0_per_px),
            int(left / px0_per_px) : math.ceil((left + width) / px0_per_px),
        ]
        over_N = box_means(own, over_N2, spec.side_px0(info.mpp), px0_per_px)
        count += int((over_N >= spec.least_tissue).sum())
    return count
