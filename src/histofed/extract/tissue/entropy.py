"""Local entropy: tissue has texture, glass has none.

For pale or colourless stains, where saturation tells nothing. The entropy of the grey levels around
a pixel (Shannon 1948) is high over cells and fibres and near zero over glass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.color import rgb2gray, rgb2hsv
from skimage.filters.rank import entropy
from skimage.morphology import disk

from histofed.errors import ConfigError
from histofed.extract.tissue.base import MaskRules, otsu_threshold
from histofed.extract.tissue.ink import INK_RECORD, is_ink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

GREY_LEVELS = 64
"""Steps of 4 grey values: the noise of a camera stays within one or two, tissue spans dozens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEntropy(MaskRules):
    """Entropy around each pixel, within physical rules.

    Attributes
    ----------
    radius_um
        Radius of the disc whose grey levels are counted: a few cells.
    min_entropy
        Otsu's threshold is never lower than this many bits: an empty slide has no tissue.
    """

    radius_um: float = 32.0
    min_entropy: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what makes no mask."""
        MaskRules.__post_init__(self)
        if not self.radius_um >= self.mpp:
            msg = f"tissue.radius_um is {self.radius_um:g}; a disc needs at least one pixel of "
            msg += f"tissue.mpp={self.mpp:g} microns"
            raise ConfigError(msg)
        if not 0 <= self.min_entropy <= np.log2(GREY_LEVELS):
            msg = f"tissue.min_entropy is {self.min_entropy}; the entropy of {GREY_LEVELS} grey "
            msg += f"levels is 0 to {np.log2(GREY_LEVELS):g} bits"
            raise ConfigError(msg)

    @property
    def record(self) -> dict[str, Any]:
        """Method and parameters, for the feature file."""
        return {
            "method": "local_entropy",
            **self.parameters(),
            "grey_levels": GREY_LEVELS,
            **INK_RECORD,
        }

    def mask(
        self, thumbnail_HW3: NDArray[np.uint8], *, slide_id: str, info: SlideInfo
    ) -> NDArray[np.bool_]:
        """Return where the picture has texture; see `TissueMethod.mask`."""
        levels = np.rint(rgb2gray(thumbnail_HW3) * (GREY_LEVELS - 1)).astype(np.uint8)
        radius_px = round(self.radius_um / self.mpp)
        bits = entropy(levels, disk(radius_px))
        mask = bits > otsu_threshold(bits, least=self.min_entropy)
        # Texture is seen one radius beyond its border; the mask is taken back by that much.
        mask = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1] > radius_px
        return self.cleaned(mask & ~is_ink(rgb2hsv(thumbnail_HW3)))
