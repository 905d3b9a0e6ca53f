"""Many images in one plane: where each of a folder's images lies in the slide that it is read as.

Between images, and around all, lie `GUTTER_PX0` pixels of nothing, so that what is told of a place
(is there tissue, is it sharp) is told by its own image, and so that a tile that is larger than its
image is padded with white. Array suffixes: A areas or images, N points.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from histofed.errors import SlideError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

GUTTER_PX0 = 256
"""Pixels between two images. Positions of tiles depend on it: with another value, files made
before would tell of other places."""

NAMED = 3
"""Images that a message names."""


def arranged(sizes_A2: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Lay images out in rows, in their order, into a plane that is about square.

    Parameters
    ----------
    sizes_A2
        Width and height of each image, at least one image.

    Returns
    -------
    corners_A2
        Top-left (x, y) of each.
    size_px0
        Width and height of the plane.
    """
    area = sum((width + GUTTER_PX0) * (height + GUTTER_PX0) for width, height in sizes_A2)
    widest = max(max(width for width, _ in sizes_A2), math.isqrt(area))
    corners, x, y, row_height = [], GUTTER_PX0, GUTTER_PX0, 0
    for width, height in sizes_A2:
        if row_height and x + width > GUTTER_PX0 + widest:
            x, y, row_height = GUTTER_PX0, y + row_height + GUTTER_PX0, 0
        corners.append((x, y))
        x, row_height = x + width + GUTTER_PX0, max(row_height, height)
    corners_A2 = np.array(corners, dtype=np.int64)
    right, bottom = (corners_A2 + np.array(sizes_A2)).max(axis=0).tolist()
    return corners_A2, (right + GUTTER_PX0, bottom + GUTTER_PX0)


def area_of(areas_A4: NDArray[np.int64], points_N2: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the number of the area that each point lies in, -1 for none.

    Parameters
    ----------
    areas_A4
        Left, top, width and height, none of which overlap.
    """
    found_N = np.full(len(points_N2), -1, dtype=np.int64)
    x_N, y_N = points_N2.T
    for number, (left, top, width, height) in enumerate(areas_A4.tolist()):
        across_N = (x_N >= left) & (x_N < left + width)
        found_N[across_N & (y_N >= top) & (y_N < top + height)] = number
    return found_N


def borders(
    info: SlideInfo,
    coords_N2: NDArray[np.int64],
    *,
    length_2: NDArray[np.int64],
    side_2: NDArray[np.float64],
    padded: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the area of each tile begins and ends, pixels of the level.

    That is its image of a folder, whose only level is 0. A tile that is larger than its image ends
    with the slide where tiles are ``padded``: white lies around. Elsewhere it is larger by rounding
    alone (`check_areas`) and ends with its image.
    """
    low_N2, high_N2 = np.zeros_like(coords_N2), np.broadcast_to(length_2, coords_N2.shape)
    if not info.images:
        return low_N2, high_N2
    areas_A4 = np.array(info.areas_px0)
    areas_N4 = areas_A4[area := area_of(areas_A4, coords_N2 + side_2 / 2)]
    inside_N2 = (area >= 0)[:, None] & ((side_2 <= areas_N4[:, 2:]) | (not padded))
    return (
        np.where(inside_N2, areas_N4[:, :2], low_N2),
        np.where(inside_N2, areas_N4[:, :2] + areas_N4[:, 2:], high_N2),
    )


def check_areas(info: SlideInfo, slide_id: str, *, side_px0: float, padded: bool) -> None:
    """Refuse images that a tile does not suit.

    Parameters
    ----------
    side_px0
        Side of a tile.
    padded
        Whether a tile may be larger than its image.

    Raises
    ------
    SlideError
        An image holds no whole tile; or a padded tile would reach into the next image.
    """
    room_px0 = 2 * GUTTER_PX0 if padded else 0.5  # half a pixel is rounding
    small = [
        image
        for image in info.images
        if side_px0 > min(image.width_px0, image.height_px0) + room_px0
    ]
    if not small:
        return
    named = ", ".join(f"{i.name} ({i.width_px0} x {i.height_px0})" for i in small[:NAMED])
    more = f" and {len(small) - NAMED} more" * (len(small) > NAMED)
    msg = (
        f"slide {slide_id}: a tile is {side_px0:g} pixels a side at {info.mpp:g} microns per pixel "
        f"(says {info.mpp_source}), too large for {named}{more}; "
    )
    if padded:
        msg += f"at most {2 * GUTTER_PX0} pixels are padded: correct the microns per pixel, or ask "
        msg += "for smaller tiles (tiling.size_px, tiling.mpp)"
    else:
        msg += "ask for smaller tiles (tiling.size_px, tiling.mpp), for one tile of each image, "
        msg += "padded with white (tiling.images=cells), or take these images out of the folder"
    raise SlideError(msg)
