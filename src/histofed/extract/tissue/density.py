"""Optical density: dark cells on light glass, for smears.

A marrow smear is a thin film of single cells; between them lies glass, so a saturation mask breaks
into specks. What counts is where cells lie densely enough to be looked at. Stained pixels absorb
light (Beer-Lambert; Ruifrok & Johnston 2001, Anal Quant Cytol Histol 23:291-299); the film is where
they cover enough of their surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.color import rgb2hsv

from histofed.errors import ConfigError
from histofed.extract.tissue.base import MaskRules, check_fraction, otsu_threshold
from histofed.extract.tissue.ink import INK_RECORD, is_ink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

GLASS_QUANTILE = 0.95
"""The brightest pixels of a slide are its glass: light is measured against them, per channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalDensity(MaskRules):
    """Share of absorbing pixels around each place, within physical rules.

    Attributes
    ----------
    min_density
        Absorbance (decades of light lost) below which a pixel is glass; Otsu's threshold is never
        lower.
    window_um
        Side of the square over which cells are counted.
    min_cover
        Smallest share of that square that cells must cover.
    """

    mpp: float = 2.0
    min_density: float = 0.08
    window_um: float = 100.0
    min_cover: float = 0.08

    def __post_init__(self) -> None:
        """Refuse what makes no mask."""
        MaskRules.__post_init__(self)
        check_fraction("min_cover", self.min_cover)
        for name, low in (("min_density", 0.0), ("window_um", self.mpp)):
            if not getattr(self, name) >= low:
                msg = f"tissue.{name} must be at least {low:g}, got {getattr(self, name)}"
                raise ConfigError(msg)

    @property
    def record(self) -> dict[str, Any]:
        """Method and parameters, for the feature file."""
        return {
            "method": "optical_density",
            **self.parameters(),
            "glass_quantile": GLASS_QUANTILE,
            **INK_RECORD,
        }

    def mask(
        self, thumbnail_HW3: NDArray[np.uint8], *, slide_id: str, info: SlideInfo
    ) -> NDArray[np.bool_]:
        """Return where absorbing pixels are frequent; see `TissueMethod.mask`."""
        light = thumbnail_HW3.astype(np.float32) + 1
        glass = np.quantile(light.reshape(-1, 3), GLASS_QUANTILE, axis=0)
        density = np.log10(np.maximum(glass / light, 1)).mean(axis=-1)
        threshold = otsu_threshold(density, least=self.min_density)
        cells = (density > threshold) & ~is_ink(rgb2hsv(thumbnail_HW3))
        side_px = max(round(self.window_um / self.mpp), 1)
        cover = ndimage.uniform_filter(cells.astype(np.float32), side_px, mode="constant")
        return self.cleaned(cover >= max(self.min_cover, 1e-6))
