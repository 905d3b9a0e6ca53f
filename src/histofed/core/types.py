"""The words of the house as frozen types.

Units are in the names: ``_px0`` is level-0 pixels, ``_um`` microns, ``mpp`` microns per pixel.
Array suffixes: N tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from histofed.core.tasks import Label

MppSource = Literal["file", "table", "option"]
"""Who said how many microns a pixel is: the slide's file, the table of slides, or the option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slide:
    """One scanned glass of a cohort.

    Attributes
    ----------
    slide_id, patient_id, site
        Names from the cohort table; ``site`` is the hospital.
    path
        Where the image is, or None for bags that came without slides.
    mpp
        Microns per pixel supplied by the user; None means "as the file says".
    """

    slide_id: str
    patient_id: str
    site: str
    path: Path | None = None
    mpp: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedImage:
    """One image of a folder that is read as a slide, and where it lies in that slide.

    A pixel (x, y) of level 0 is the pixel (x - ``x_px0``, y - ``y_px0``) of the file ``name``.
    """

    name: str
    x_px0: int
    y_px0: int
    width_px0: int
    height_px0: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideInfo:
    """What a reader knows of a slide's geometry.

    Attributes
    ----------
    mpp
        Microns per level-0 pixel.
    level_sizes_px
        ``(width, height)`` of each pyramid level; level 0 is the largest.
    objective_power
        As the file says, or None.
    mpp_from
        Who said ``mpp``; None where it is not known.
    images
        Of a folder: its images, row by row; between them lies nothing. Empty for a scanned slide.
    scanned_from_px0
        Where the scanned part begins. Here pixels are counted from the corner of the whole slide;
        QuPath counts from here.
    """

    mpp: float
    level_sizes_px: tuple[tuple[int, int], ...]
    vendor: str
    objective_power: float | None = None
    mpp_from: MppSource | None = None
    images: tuple[PlacedImage, ...] = ()
    scanned_from_px0: tuple[int, int] = (0, 0)

    @property
    def areas_px0(self) -> tuple[tuple[int, int, int, int], ...]:
        """Left, top, width and height of what was imaged in one piece: tiles lie in one of them."""
        images = [(i.x_px0, i.y_px0, i.width_px0, i.height_px0) for i in self.images]
        return tuple(images) or ((0, 0, self.width_px0, self.height_px0),)

    @property
    def mpp_source(self) -> str:
        """What says the ``mpp``, in words for a message."""
        option = f"the option mpp={self.mpp:g}"
        words = {"table": "its row in a table", "option": option}
        return words.get(self.mpp_from or "file", "its file")

    @property
    def width_px0(self) -> int:
        """Width of level 0 in pixels."""
        return self.level_sizes_px[0][0]

    @property
    def height_px0(self) -> int:
        """Height of level 0 in pixels."""
        return self.level_sizes_px[0][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileScores:
    """Raw numbers per tile of one slide, by head name (``attention``, ``tile_logit``, ...).

    Attributes
    ----------
    coords_N2
        Top-left corners, int64 level-0 pixels.
    side_px0
        Side of a tile in level-0 pixels (a float: 112 um at 0.2527 mpp is 443.21 px).
    scores
        Head name -> float32 ``(N,)``.
    model_digest, features_digest
        What the scores were made from.
    """

    slide_id: str
    coords_N2: NDArray[np.int64]
    side_px0: float
    scores: dict[str, NDArray[np.float32]]
    model_digest: str
    features_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One patient's out-of-fold prediction.

    Attributes
    ----------
    fold
        The fold in which the patient was held out, from 0.
    label
        One number per name in ``Task.label_names``.
    outputs
        One number per name in ``Task.output_names``; NaN where the model has none.
    possible
        Numbers of the classes that cannot be ruled out: the conformal set; None for tasks without
        classes, or where there was too little to calibrate with.
    ood
        Out of distribution: how many in a hundred of the patients trained on are more usual than
        this one, 0..100; None where it was not asked.
    """

    patient_id: str
    site: str
    fold: int
    label: Label
    outputs: tuple[float, ...]
    possible: tuple[int, ...] | None = None
    ood: float | None = None
