"""Optical density, in which stains add up, and the pixels that have any.

Light that passes a stain is weakened by a power of the amount of stain (Beer-Lambert), so that the
decades of light lost are sums over the stains (Ruifrok & Johnston 2001, Anal Quant Cytol Histol
23:291-299).

Suffixes: N pixels, M of them stained, 3 RGB.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from histofed.errors import StainUnclear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

LEAST_STAINED = 0.01
"""Share of the pixels that must be stained: tiles of fat cells have some percent, glass none."""

LEAST_COLOUR_DEG = 5.0
"""Angle between the mean density and grey, (1, 1, 1); haematoxylin is at 13 degrees or more."""


def optical_density(light: Tensor, *, white: float) -> Tensor:
    """Return the decades of light lost; below 0 where it is brighter than ``white``.

    Parameters
    ----------
    light
        Grey levels 0..255 as floats, any shape. Black counts as one grey level.
    """
    return torch.log10(white / light.clamp(min=1.0))


def light_through(density: Tensor, *, white: float) -> Tensor:
    """Return the grey levels 0..255 that a density lets through, as whole numbers (uint8)."""
    return to_bytes(white * 10.0**-density)


def to_bytes(light: Tensor) -> Tensor:
    """Return grey levels as uint8: rounded, those beyond 0..255 at the end they passed."""
    return light.round().clamp(0, 255).to(torch.uint8)


def combined(planes: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
    """Return the weighted sums of some planes, one for each row of ``weights``.

    Plane by plane: a matrix product may round a pixel otherwise in another batch.
    """
    sums = []
    for row in weights.tolist():
        total = planes[0] * row[0]
        for plane, weight in zip(planes[1:], row[1:], strict=True):
            total = total + plane * weight
        sums.append(total)
    return sums


def stained(pixels_N3: Tensor, *, white: float, least_density: float, name: str) -> Tensor:
    """Return the pixels ``(M, 3)`` that are not glass.

    Parameters
    ----------
    pixels_N3
        RGB, 0..255, as floats.
    least_density
        Length of the density vector below which a pixel is glass.
    name
        Whose pixels they are, for the refusal.

    Raises
    ------
    StainUnclear
        Hardly a pixel is stained, or they are grey.
    """
    density_N3 = optical_density(pixels_N3, white=white)
    found_N = density_N3.norm(dim=1) >= least_density
    share = float(found_N.double().mean())
    if not share >= LEAST_STAINED:
        msg = (
            f"{name}: only {share:.1%} of its sampled pixels are stained (at least "
            f"{LEAST_STAINED:.0%} are needed to learn its stains); look at it, or extract with "
            "stain=none"
        )
        raise StainUnclear(msg)
    mean_3 = density_N3[found_N].mean(dim=0)
    cosine = float(mean_3.sum() / (mean_3.norm() * math.sqrt(3)))
    angle_deg = math.degrees(math.acos(min(cosine, 1.0)))
    if angle_deg < LEAST_COLOUR_DEG:
        msg = (
            f"{name}: it is grey, not stained (its mean colour is {angle_deg:.1f} degrees from "
            f"grey, at least {LEAST_COLOUR_DEG:g} are needed); look at it, or extract with "
            "stain=none"
        )
        raise StainUnclear(msg)
    return pixels_N3[found_N]
