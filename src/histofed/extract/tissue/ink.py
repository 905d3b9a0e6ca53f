"""Colours of marker pens: they are no tissue, whatever the method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INK_HUES = (0.17, 0.64)
"""Yellow-green to blue, as fractions of the colour circle: ink, not stain."""

INK_MIN_SATURATION = 0.35
"""Paler than this, a bluish hue is a matter of white balance, not of a pen."""

INK_RECORD: dict[str, Any] = {
    "ink_hues": list(INK_HUES),
    "ink_min_saturation": INK_MIN_SATURATION,
}
"""What the record of a method that leaves ink out says of it."""


def is_ink(hsv: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which pixels ``(..., 3)`` of hue, saturation and value have the colour of a pen."""
    hue, saturation = hsv[..., 0], hsv[..., 1]
    return (hue > INK_HUES[0]) & (hue < INK_HUES[1]) & (saturation > INK_MIN_SATURATION)
