"""What every tissue method offers, and the physical rules that most share."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects

from histofed.errors import ConfigError, SlideError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo


class TissueMethod(Protocol):
    """How tissue is told from glass.

    A learned segmenter is a class with these members, one YAML in ``configs/tissue/`` and, outside
    of this package, an entry point ``histofed.tissue`` (``docs/architecture.md``).
    """

    @property
    def mpp(self) -> float:
        """Resolution that `mask` works at, microns per pixel."""

    @property
    def record(self) -> dict[str, Any]:
        """Method, parameters and weights' digest: part of the identity of every file made."""

    def source_digest(self, slide_id: str) -> str:
        """Return the digest of what a person drew for this slide; empty where nothing is drawn."""

    def mask(
        self, thumbnail_HW3: NDArray[np.uint8], *, slide_id: str, info: SlideInfo
    ) -> NDArray[np.bool_]:
        """Return True ``(H, W)`` where there is tissue.

        Parameters
        ----------
        thumbnail_HW3
            The whole slide as RGB at ``mpp`` microns per pixel, from its top-left corner.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRules:
    """Resolution and physical clean-up of a mask.

    Attributes
    ----------
    mpp
        Resolution of the mask, microns per pixel.
    min_area_um2, max_hole_um2
        Smaller specks are dirt; smaller holes (vessels, glands, fat cells) belong to the tissue.
        Glass that touches the slide's frame goes on beyond it and is no hole, however small.
    closing_um
        Gaps up to this width are bridged before holes are filled, so that fat cells torn open at
        the rim count as holes. 0 bridges nothing.
    """

    mpp: float = 8.0
    min_area_um2: float = 20_000.0
    max_hole_um2: float = 20_000.0
    closing_um: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what makes no mask."""
        if not (self.mpp > 0 and math.isfinite(self.mpp)):
            msg = f"tissue.mpp (microns per pixel of the mask) must be positive, got {self.mpp}"
            raise ConfigError(msg)
        for name, unit in (
            ("min_area_um2", "square microns"),
            ("max_hole_um2", "square microns"),
            ("closing_um", "microns"),
        ):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                msg = f"tissue.{name} ({unit}) cannot be negative, got {value}"
                raise ConfigError(msg)
        for field in fields(self):  # 8 and 8.0 must have the same digest
            if field.type == "float":
                object.__setattr__(self, field.name, float(getattr(self, field.name)))

    def source_digest(self, slide_id: str) -> str:
        """Return that nothing was drawn for the slide."""
        return ""

    def cleaned(self, mask_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the mask without specks and small holes, narrow gaps bridged."""
        pixel_um2 = self.mpp**2
        # Closed first: islands of marrow between fat cells are one tissue, each of them a speck.
        radius_px = round(self.closing_um / 2 / self.mpp)
        mask = closed(mask_HW, radius_px) if radius_px else mask_HW
        mask = remove_small_objects(mask, max_size=round(self.min_area_um2 / pixel_um2))
        return without_holes(mask, round(self.max_hole_um2 / pixel_um2))

    def parameters(self) -> dict[str, Any]:
        """Return every parameter; closing, which came later, only where it closes something."""
        found = asdict(self)
        if not self.closing_um:
            del found["closing_um"]
        return found


def closed(mask_HW: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Return the mask closed with a disc; by distances, so a large disc costs no more."""
    padded = np.pad(mask_HW, radius_px + 1)
    grown = ndimage.distance_transform_edt(~padded) <= radius_px
    inside = ndimage.distance_transform_edt(grown) > radius_px
    kept = (inside | padded)[radius_px + 1 : -radius_px - 1, radius_px + 1 : -radius_px - 1]
    return np.asarray(kept)


def without_holes(mask_HW: NDArray[np.bool_], max_px: int) -> NDArray[np.bool_]:
    """Return the mask with holes of up to ``max_px`` pixels filled; none that touches the frame."""
    glass_HW, _ = ndimage.label(~mask_HW)  # 0 is tissue
    fills = np.bincount(glass_HW.ravel()) <= max_px
    for side in (glass_HW[0], glass_HW[-1], glass_HW[:, 0], glass_HW[:, -1]):
        fills[side] = False
    fills[0] = False
    return np.asarray(mask_HW | fills[glass_HW])


def otsu_threshold(values: NDArray[np.floating], *, least: float) -> float:
    """Return Otsu's threshold (1979, IEEE TSMC 9:62-66), or ``least`` where it would be lower."""
    if not values.size or values.min() == values.max():
        return least
    return max(least, float(threshold_otsu(values)))


def check_fraction(name: str, value: float) -> None:
    """Refuse what is no fraction."""
    if not 0 <= value <= 1:
        msg = f"tissue.{name} is in 0..1, got {value}"
        raise ConfigError(msg)


def check_mask(
    mask: NDArray[np.generic], thumbnail_HW3: NDArray[np.uint8], *, method: str, slide_id: str
) -> NDArray[np.bool_]:
    """Return the mask of a method, once it is one: a learned one may come from elsewhere.

    Raises
    ------
    SlideError
        The mask is not boolean or not of the thumbnail's size.
    """
    expected = thumbnail_HW3.shape[:2]
    if mask.dtype != np.bool_ or mask.shape != expected:
        msg = (
            f"slide {slide_id}: tissue method {method} returned {mask.dtype} {mask.shape}; a mask "
            f"is bool {expected}, as its thumbnail: correct the method"
        )
        raise SlideError(msg)
    return np.asarray(mask, dtype=np.bool_)
