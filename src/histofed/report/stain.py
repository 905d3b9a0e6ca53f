"""A picture of stain normalisation: some tiles of a slide, as scanned and as the encoder sees them.

Array suffixes: B tiles, H x W pixels, 3 RGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.report import style

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

TILE_IN = 1.5


def stain_picture(
    before_BHW3: NDArray[np.uint8], after_BHW3: NDArray[np.uint8], *, slide_id: str, method: str
) -> Figure:
    """Return the tiles in two rows: as scanned, and below each as ``method`` makes it."""
    n_tiles = len(before_BHW3)
    with style.house_style():
        figure = style.new_figure(max(n_tiles * TILE_IN, 4.0), 2 * TILE_IN + 0.5)
        figure.suptitle(f"Slide {slide_id}", x=0.01, ha="left", fontsize=11.5, fontweight="bold")
        cells = figure.subplots(2, n_tiles, squeeze=False)
        for row, name, tiles in ((0, "as scanned", before_BHW3), (1, method, after_BHW3)):
            for axes, tile in zip(cells[row], tiles, strict=True):
                axes.imshow(tile)
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
            cells[row, 0].set_ylabel(name)
    return figure
