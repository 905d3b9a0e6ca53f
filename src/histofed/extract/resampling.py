"""From the pixels of a level to the pixels of a tile: one filter, two ways to compute it.

The filter is the triangle that widens when it shrinks, so that no pixel is skipped (Pillow and
torch call it bilinear with antialiasing). Pillow computes it for any box; torch some six times
faster, for boxes that begin at a whole pixel: at level 0 all but the last before the border. Both
work on 8-bit integers and agree to within two grey levels.

Suffixes: B tiles, H x W pixels, 3 RGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.tiling import LevelBoxes

RESAMPLING = "bilinear"
"""Name of the filter, part of every recipe."""

TOLERANCE_PX = 1e-6
"""What is nearer than this to a whole pixel was meant to be there: sums of floats are not exact."""


def resampled(
    pixels_HW3: NDArray[np.uint8], box: tuple[float, float, float, float], size_px: int
) -> NDArray[np.uint8]:
    """Return what lies in a box ``(left, top, right, bottom)`` as a square of ``size_px``."""
    image = Image.fromarray(pixels_HW3)
    return np.asarray(image.resize((size_px, size_px), Image.Resampling.BILINEAR, box=box))


def resampled_batch(
    pixels_BHW3: NDArray[np.uint8], areas: LevelBoxes, numbers_B: NDArray[np.int64], size_px: int
) -> NDArray[np.uint8]:
    """Return tiles ``(B, size_px, size_px, 3)`` of rectangles that were read with some margin.

    Parameters
    ----------
    areas, numbers_B
        What was read, and which of it the rows of ``pixels_BHW3`` are.
    """
    boxes_B4, sizes_B2 = areas.boxes_N4[numbers_B], areas.sizes_N2[numbers_B]
    sides_B2 = boxes_B4[:, 2:] - boxes_B4[:, :2]
    side_2 = sides_B2.max(axis=0).round(6)
    read_2 = np.array([pixels_BHW3.shape[2], pixels_BHW3.shape[1]])
    plain_B = (
        (np.abs(boxes_B4[:, :2]) < TOLERANCE_PX)
        & (np.abs(sides_B2 - side_2) < TOLERANCE_PX)
        & (sizes_B2 == read_2)
    ).all(axis=1)
    if plain_B.any():
        tiles = _resampled_by_torch(pixels_BHW3, (float(side_2[0]), float(side_2[1])), size_px)
    else:
        tiles = np.empty((len(numbers_B), size_px, size_px, 3), dtype=np.uint8)
    for row in np.flatnonzero(~plain_B):
        width_px, height_px = sizes_B2[row]
        left, top, right, bottom = boxes_B4[row].tolist()
        tiles[row] = resampled(
            pixels_BHW3[row, :height_px, :width_px], (left, top, right, bottom), size_px
        )
    return tiles


def _resampled_by_torch(
    pixels_BHW3: NDArray[np.uint8], side_px: tuple[float, float], size_px: int
) -> NDArray[np.uint8]:
    """Resample squares that begin at a whole pixel; ``side_px`` is their width and height."""
    import torch  # slow to import, and of no use to who only looks for tissue

    width_px, height_px = side_px
    tiles = torch.nn.functional.interpolate(
        torch.from_numpy(pixels_BHW3).permute(0, 3, 1, 2),  # channels last, as torch likes it here
        scale_factor=(size_px / height_px, size_px / width_px),
        recompute_scale_factor=False,
        mode="bilinear",
        antialias=True,
    )
    # Where tiles are enlarged, the margin of the last pixel may have made one row more.
    square: NDArray[np.uint8] = tiles[:, :, :size_px, :size_px].permute(0, 2, 3, 1).numpy()
    return square
