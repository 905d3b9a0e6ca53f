"""Whether the fast reader shows what the reference shows: what two headers say may differ.

A look costs some milliseconds, so two places of each level are compared: its middle and, as the
middle may be empty, its richest block, which is the one of the most bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.core.tiling import downsamples
from histofed.errors import SlideUnreadable
from histofed.io.readers.tiff_levels import NotForTiffReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.io.readers.base import SlideReader
    from histofed.io.readers.tiff import TiffReader

PROBE_PX = 300
MAX_DIFFERENCE = 2
"""Grey levels by which two decoders of one JPEG may differ."""
CELL_PX = 16
MAX_MEAN_DIFFERENCE = 10
"""Grey levels by which the mean colour of small squares may differ on levels above 0."""


def compare(reader: TiffReader, reference: SlideReader, level: int) -> None:
    """Refuse a level whose pixels are not the reference's.

    Raises
    ------
    NotForTiffReader
        They differ, or the middle cannot be read, or not one block of it without the reference.
    """
    width_px, height_px = reader.info.level_sizes_px[level]
    decoded, disputed = reader.blocks_decoded, reader.blocks_disputed
    try:
        difference = _difference(reader, reference, level, (width_px // 2, height_px // 2))
    except SlideUnreadable as error:
        msg = f"level {level} cannot be compared: {error}"
        raise NotForTiffReader(msg) from error
    if 0 < reader.blocks_decoded - decoded == reader.blocks_disputed - disputed:
        msg = f"level {level} is stored in a way that is not read fast"
        raise NotForTiffReader(msg)
    try:
        richest = _difference(reader, reference, level, reader.richest_place_px(level))
    except SlideUnreadable:
        richest = 0.0  # damage says nothing of colours
    if (worst := max(difference, richest)) > (MAX_MEAN_DIFFERENCE if level else MAX_DIFFERENCE):
        msg = f"level {level} differs from OpenSlide by {worst:.0f} grey levels"
        raise NotForTiffReader(msg)


def _difference(
    reader: TiffReader, reference: SlideReader, level: int, centre_px: tuple[int, int]
) -> float:
    """Return by how many grey levels a square about a place of a level differs."""
    known = level < len(reference.info.level_sizes_px)
    down = (1.0, 1.0) if known else downsamples(reader.info, level)
    size_px = reader.info.level_sizes_px[level]
    width_px, height_px = (
        max(1, min(side_px, round(PROBE_PX / d))) for side_px, d in zip(size_px, down, strict=True)
    )
    x_px, y_px = (
        min(max(centre - side // 2, 0), length - side)
        for centre, side, length in zip(centre_px, (width_px, height_px), size_px, strict=True)
    )
    found = reader.read(level, x_px, y_px, width_px=width_px, height_px=height_px)
    wanted = reference.read(
        level if known else 0,
        round(x_px * down[0]),
        round(y_px * down[1]),
        width_px=round(width_px * down[0]),
        height_px=round(height_px * down[1]),
    )
    # On level 0 each pixel is compared. On others OpenSlide places a region by level-0 pixels, and
    # blends neighbours where that is between two: there the means of small squares are compared,
    # and of levels that OpenSlide does not have the mean colour.
    cell_px = (1, 1) if level == 0 else (CELL_PX, CELL_PX) if known else None
    return float(np.abs(_means(found, cell_px) - _means(wanted, cell_px)).max())


def _means(pixels_HW3: NDArray[np.uint8], cell_px: tuple[int, int] | None) -> NDArray[np.float64]:
    """Return the mean colour of each whole cell; of everything where no cell fits, or for None."""
    height_px, width_px = pixels_HW3.shape[:2]
    if cell_px is None or height_px < cell_px[0] or width_px < cell_px[1]:
        return np.asarray(pixels_HW3.mean(axis=(0, 1), keepdims=True), dtype=np.float64)
    rows, columns = height_px // cell_px[0], width_px // cell_px[1]
    whole = pixels_HW3[: rows * cell_px[0], : columns * cell_px[1]]
    cells = whole.reshape(rows, cell_px[0], columns, cell_px[1], 3)
    return np.asarray(cells.mean(axis=(1, 3)), dtype=np.float64)
