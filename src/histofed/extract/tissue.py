"""Where the tissue is: Otsu on colour saturation, at a fixed physical resolution.

Stained tissue is coloured and glass is grey, so Otsu's threshold (Otsu 1979, IEEE TSMC 9:62-66) on
saturation separates them. Marker pens are coloured too, but green, cyan or blue, where
haematoxylin and eosin are violet to red. Every area is in square microns, so a mask means the same
on every scanner.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
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
    min_brightness
        Darker than this (HSV value) is black ink or no scan, not stain.
    min_area_um2, max_hole_um2
        Smaller specks are dirt; smaller holes (vessels, glands, fat cells) belong to the tissue.
    """

    mpp: float = 8.0
    min_saturation: float = 0.06
    min_brightness: float = 0.1
    min_area_um2: float = 20_000.0
    max_hole_um2: float = 20_000.0

    def __post_init__(self) -> None:
        """Refuse what makes no mask."""
        if not self.mpp > 0:
            msg = f"tissue.mpp (microns per pixel of the mask) must be positive, got {self.mpp}"
            raise ConfigError(msg)
        for name in ("min_saturation", "min_brightness"):
            if not 0 <= getattr(self, name) <= 1:
                msg = f"tissue.{name} is in 0..1, got {getattr(self, name)}"
                raise ConfigError(msg)
        for name in ("min_area_um2", "max_hole_um2"):
            if not getattr(self, name) >= 0:
                msg = f"tissue.{name} (square microns) cannot be negative, got "
                msg += f"{getattr(self, name)}"
                raise ConfigError(msg)
        for field in fields(self):  # 8 and 8.0 must have the same digest
            object.__setattr__(self, field.name, float(getattr(self, field.name)))

    @property
    def record(self) -> dict[str, Any]:
        """Method and parameters, for the feature file."""
        ink = {"ink_hues": list(INK_HUES), "ink_min_saturation": INK_MIN_SATURATION}
        return {"method": "otsu_saturation", **asdict(self), **ink}


def tissue_mask(thumbnail_HW3: NDArray[np.uint8], spec: TissueSpec) -> NDArray[np.bool_]:
    """Return True where there is tissue.

    Parameters
    ----------
    thumbnail_HW3
        The whole slide as RGB at ``spec.mpp`` microns per pixel.
    """
    hsv = rgb2hsv(thumbnail_HW3)
    saturation = ndimage.median_filter(hsv[..., 1], size=3)
    ink = (
        (hsv[..., 0] > INK_HUES[0])
        & (hsv[..., 0] < INK_HUES[1])
        & (hsv[..., 1] > INK_MIN_SATURATION)
    )
    ink |= hsv[..., 2] < spec.min_brightness
    ink = ndimage.binary_dilation(ink, iterations=1)
    # Ink would pull the threshold up, and pale tissue would be taken for glass.
    plain = saturation[~ink]
    threshold = spec.min_saturation
    if plain.size and plain.min() < plain.max():
        threshold = max(threshold, float(threshold_otsu(plain)))
    mask = (saturation > threshold) & ~ink
    pixel_um2 = spec.mpp**2
    mask = remove_small_objects(mask, max_size=round(spec.min_area_um2 / pixel_um2))
    return np.asarray(remove_small_holes(mask, max_size=round(spec.max_hole_um2 / pixel_um2)))
