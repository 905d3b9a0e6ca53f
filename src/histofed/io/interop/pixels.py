"""Tiles that their file measures in level-0 pixels: TRIDENT's, CLAM's, and others' when told so.

Array suffixes: N tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from histofed.io.atomic import file_digest
from histofed.io.interop.consistency import (
    UM_OF_1X,
    Side,
    check_magnification,
    check_mpp,
    checked_overlap_px,
    grid_step,
)
from histofed.io.interop.detect import slide_id_of
from histofed.io.interop.foreign import ForeignTiles
from histofed.io.interop.reading import check_inside, same, whole_px0

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    import numpy as np
    from numpy.typing import NDArray

    from histofed.io.interop.asking import Asked
    from histofed.io.interop.foreign import Supplied


class Tiling(NamedTuple):
    """What a file says of its tiles and its slide; None where it is silent.

    Attributes
    ----------
    size_px
        Side of a tile in the pixels that were encoded.
    side_px0
        The same side in level-0 pixels.
    overlap_px
        Shared margin of neighbours, in the pixels of ``size_px``.
    objective_power, magnification
        Magnification of the slide, and of the tiles.
    """

    size_px: int | None = None
    side_px0: float | None = None
    width_px0: int | None = None
    height_px0: int | None = None
    overlap_px: int | None = None
    objective_power: float | None = None
    magnification: float | None = None


class Placing(NamedTuple):
    """What must be known to place tiles: what the file says, and the answers to the rest."""

    tiling: Tiling
    size_px: int
    side: Side
    overlap_px: int | None
    mpp: float


def ask_px0(asked: Asked, tiling: Tiling, file: h5py.File, *, size_px: int = 256) -> Placing:
    """Ask for what a file that counts level-0 pixels leaves open.

    Parameters
    ----------
    file
        Its grid gives the example of a side.
    size_px
        Example of how many pixels a side the tiles have.
    """
    supplied = asked.supplied
    same(asked.path, "the unit", found="px0", supplied=supplied.coords_unit, option="coords_unit")
    size_px = asked.agreed(
        "how many pixels a side its tiles have (patch_size; for features of CLAM, patches/ beside "
        "h5_files/ would say it)",
        found=tiling.size_px,
        supplied=supplied.tile_px,
        option="tile_px",
        example=size_px,
    )
    open_side = tiling.side_px0 is None and supplied.tile_px0 is None
    side_px0 = asked.agreed(
        "the side of a tile in level-0 pixels (patch_size_level0, or patch_size x downsample)",
        found=tiling.side_px0,
        supplied=supplied.tile_px0,
        option="tile_px0",
        example=(open_side and grid_step(file)) or float(size_px),
    )
    side = Side(side_px0)
    if tiling.side_px0 is None:
        side = Side(side_px0, given=f"tile_px0={side_px0:g}", fitting="tile_px0={step_px0:.5g}")
    power = tiling.objective_power
    return Placing(
        tiling=tiling,
        size_px=size_px,
        side=side,
        overlap_px=same(
            asked.path,
            "overlap",
            found=tiling.overlap_px,
            supplied=supplied.overlap_px,
            option="overlap_px",
        ),
        mpp=asked.mpp() if power is None else asked.mpp(UM_OF_1X / power),
    )


def place(
    path: Path,
    corners_N2: NDArray[np.float64],
    placing: Placing,
    supplied: Supplied,
    *,
    origin: str,
) -> ForeignTiles:
    """Return the tiles of a slide, without features yet.

    Raises
    ------
    StoreError
        The corners are no pixels of this slide, or what was supplied contradicts the file.
    """
    tiling, size_px, side, said_px, mpp = placing
    coords_N2 = whole_px0(path, corners_N2)
    size_px0 = check_inside(path, coords_N2, (tiling.width_px0, tiling.height_px0), supplied)
    tile_mpp = side.px0 * mpp / size_px
    check_mpp(path, mpp, tile_mpp=tile_mpp)
    check_magnification(
        path, slide=(tiling.objective_power, mpp), tiles=(tiling.magnification, tile_mpp)
    )
    return ForeignTiles(
        slide_id=slide_id_of(path),
        origin=origin,
        source_digest=file_digest(path),
        features_ND=None,
        coords_N2=coords_N2,
        mpp=mpp,
        size_px=size_px,
        tile_mpp=tile_mpp,
        side_px0=side.px0,
        overlap_px=checked_overlap_px(path, coords_N2, side=side, size_px=size_px, said_px=said_px),
        width_px0=size_px0[0],
        height_px0=size_px0[1],
        objective_power=tiling.objective_power,
    )
