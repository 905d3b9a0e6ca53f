"""Otsu on colour saturation.

Stained tissue is coloured and glass is grey, so Otsu's threshold (Otsu 1979, IEEE TSMC 9:62-66) on
saturation separates them. Marker pens are coloured too, but green, cyan or blue, where
haematoxylin and eosin are violet to red.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.color import rgb2hsv

from histofed.extract.tissue.base import MaskRules, check_fraction, otsu_threshold
from histofed.extract.tissue.ink import INK_RECORD, is_ink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

BAND_PX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OtsuSaturation(MaskRules):
    """Otsu on saturation, within physical rules.

    Attributes
    ----------
    min_saturation
        Otsu's threshold is never lower than this: an empty slide has no tissue.
    min_brightness
        Darker than this (HSV value) is black ink or no scan, not stain.
    """

    min_saturation: float = 0.06
    min_brightness: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what makes no mask."""
        # Named, as slots make a new class and super() without arguments would look in the old one.
        MaskRules.__post_init__(self)
        check_fraction("min_saturation", self.min_saturation)
        check_fraction("min_brightness", self.min_brightness)

    @property
    def record(self) -> dict[str, Any]:
        """Method and parameters, for the feature file."""
        return {"method": "otsu_saturation", **self.parameters(), **INK_RECORD}

    def mask(
        self, thumbnail_HW3: NDArray[np.uint8], *, slide_id: str, info: SlideInfo
    ) -> NDArray[np.bool_]:
        """Return where the picture is coloured; see `TissueMethod.mask`."""
        saturation = np.empty(thumbnail_HW3.shape[:2])
        ink = np.empty(thumbnail_HW3.shape[:2], dtype=np.bool_)
        for top in range(0, len(thumbnail_HW3), BAND_PX):  # colours are 24 bytes a pixel
            rows = slice(top, top + BAND_PX)
            hsv = rgb2hsv(thumbnail_HW3[rows])
            saturation[rows] = hsv[..., 1]
            ink[rows] = is_ink(hsv) | (hsv[..., 2] < self.min_brightness)
        saturation = ndimage.median_filter(saturation, size=3)
        ink = ndimage.binary_dilation(ink, iterations=1)
        # Ink would pull the threshold up, and pale tissue would be taken for glass.
        plain = saturation[~ink]
        threshold = otsu_threshold(plain, least=self.min_saturation)
        return self.cleaned((saturation > threshold) & ~ink)
