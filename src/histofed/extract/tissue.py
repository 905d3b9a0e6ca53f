"""Where the tissue is: Otsu on colour saturation, at a fixed physical resolution.

Stained tissue is coloured and glass is grey, so Otsu's threshold (Otsu 1979, IEEE TSMC 9:62-66) on
saturation separates them. Marker pens are coloured too, but green, cyan or blue, where
haematoxylin and eosin are violet to red. Every area is in square microns, so a mask means the same
on every scanner.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.color import rgb2hsv
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_holes, remove_small_objects

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

INK_HUES = (0.17, 0.64)
"""Yellow-green to blue, as fractions of the colour circle: ink, not stain."""

INK_MIN_SATURATION = 0.35
"""Paler than this, a bluish hue is a matter of white balance, not of a pen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueSpec:
    """How tissue is told from glass.

    Attributes
    ----------
    mpp
        Resolution of the mask, microns per pixel.
    min_saturation
        Otsu's threshold is never lower than this: an empty slide has no tissue.
    min_area_um2, max_hole_um2
        Smaller specks are dirt; smaller holes (vessels, glands, fat cells) belong to the tissue.
    """

    mpp: float = 8.0
    min_saturation: float = 0.06
    min_area_um2: float = 20_000.0
    max_hole_um2: float = 20_000.0

    def __post_init__(self) -> None:
        """Refuse what makes no mask."""
        if not self.mpp > 0:
            msg = f"tissue.mpp (microns per pixel of the mask) must be positive, got {self.mpp}"
            raise ConfigError(msg)
        if not 0 <= self.min_saturation <= 1:
            msg = f"tissue.min_saturation is in 0..1, got {self.min_saturation}"
            raise ConfigError(msg)

    @property
    def record(self) -> dict[str, Any]:
        """Method and parameters, for the feature file."""
        return {"method": "otsu_saturation", **asdict(self)}


def tissue_mask(thumbnail_HW3: NDArray[np.uint8], spec: TissueSpec) -> NDArray[np.bool_]:
    """Return True where there is tissue.

    Parameters
    ----------
    thumbnail_HW3
        The whole slide as RGB at ``spec.mpp`` microns per pixel.
    """
    hsv = rgb2hsv(thumbnail_HW3)
    saturation = ndimage.median_filter(hsv[..., 1], size=3)
    threshold = spec.min_saturation
    if saturation.min() < saturation.max():
        threshold = max(threshold, float(threshold_otsu(saturation)))
    ink = (
        (hsv[..., 0] > INK_HUES[0])
        & (hsv[..., 0] < INK_HUES[1])
        & (hsv[..., 1] > INK_MIN_SATURATION)
    )
    mask = (saturation > threshold) & ~ndimage.binary_dilation(ink, iterations=1)
    pixel_um2 = spec.mpp**2
    mask = remove_small_objects(mask, max_size=round(spec.min_area_um2 / pixel_um2))
    return np.asarray(remove_small_holes(mask, max_size=round(spec.max_hole_um2 / pixel_um2)))
