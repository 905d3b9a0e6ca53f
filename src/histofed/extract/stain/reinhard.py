"""Colour transfer by mean and deviation (Reinhard et al. 2001).

Reinhard, Ashikhmin, Gooch & Shirley 2001, "Color transfer between images", IEEE Computer Graphics
and Applications 21(5):34-41. In a space whose channels are nearly independent (logarithms of the
eye's cones, turned to l, alpha, beta), each channel takes the target's mean and deviation.

Suffixes: N pixels, 3 RGB or l, alpha, beta, B tiles, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from histofed.errors import StainUnclear
from histofed.extract.stain.base import Normaliser
from histofed.extract.stain.density import combined, optical_density, to_bytes
from histofed.extract.stain.macenko import ANGLE_PERCENTILE, stain_vectors

if TYPE_CHECKING:
    from torch import Tensor

CONES = torch.tensor(
    [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]],
    dtype=torch.float64,
)
"""RGB to L, M, S cones: equation 4 of the paper."""

OPPONENTS = torch.tensor([[1.0, 1, 1], [1, 1, -2], [1, -1, 0]], dtype=torch.float64)
OPPONENTS /= OPPONENTS.norm(dim=1, keepdim=True)
"""Logarithms of the cones to l, alpha, beta: equation 6. Its rows are orthonormal."""

LEAST_DEVIATION = 1e-3
"""A channel that varies by less than a thousandth of its light has nothing to be scaled."""


@dataclass(frozen=True, slots=True)
class Colours:
    """Mean and deviation of l, alpha and beta over stained pixels; natural logarithms of 0..255."""

    mean_3: Tensor
    std_3: Tensor


TARGET = Colours(
    torch.tensor([8.52, -0.090, 0.040], dtype=torch.float64),
    torch.tensor([0.512, 0.070, 0.018], dtype=torch.float64),
)
"""The slide CMU-1-Small-Region (OpenSlide's test data, CC0) once `Macenko` has given it its
published stains, so that both methods aim at one look. Numbers that others published were not taken
over stained pixels alone: with them up to a quarter of a slide became too bright for 0..255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reinhard(Normaliser[Colours]):
    """Shift and scale a slide's colours to the mean and deviation of the target.

    Mean and deviation are of stained pixels. Glass stays as it is: the change fades out below
    ``least_density``, and is none at the colour ``white``.
    """

    method: ClassVar[str] = "reinhard"
    standard: ClassVar[Colours] = TARGET

    def parameters(self) -> dict[str, Any]:
        """Return what belongs to this method alone: nothing."""
        return {}

    def learned(self, pixels_N3: Tensor, *, name: str) -> Colours:
        """Return the colours of some pixels; see `Normaliser.learned`."""
        pixels_M3 = self.stained(pixels_N3, name=name)
        # Not needed here, but a slide of one stain would be recoloured to look like two.
        density_M3 = optical_density(pixels_M3, white=self.white)
        stain_vectors(density_M3, percentile=ANGLE_PERCENTILE, name=name)
        lab_M3 = torch.stack(opponents_of(pixels_M3), dim=-1)
        found = Colours(lab_M3.mean(dim=0), lab_M3.std(dim=0, correction=0))
        if float(found.std_3.min()) < LEAST_DEVIATION:
            varies = ", ".join(f"{value:.4f}" for value in found.std_3.tolist())
            msg = (
                f"{name}: its colours do not vary (deviation of l, alpha, beta: {varies}; at least "
                f"{LEAST_DEVIATION:g} is needed); look at it, or extract with stain=none"
            )
            raise StainUnclear(msg)
        return found

    def brought(self, tiles_BHW3: Tensor, found: Colours) -> Tensor:
        """Return tiles in the target's colours; see `Normaliser.brought`."""
        light_BHW3 = tiles_BHW3.float()
        gain_3 = self.target.std_3 / found.std_3
        shift_3 = self.target.mean_3 - gain_3 * found.mean_3
        lab = [
            channel * gain + shift
            for channel, gain, shift in zip(
                opponents_of(light_BHW3), gain_3.tolist(), shift_3.tolist(), strict=True
            )
        ]
        moved_BHW3 = torch.stack(light_of(lab), dim=-1)
        density_BHW3 = optical_density(light_BHW3, white=self.white)
        share_BHW1 = (density_BHW3.norm(dim=-1, keepdim=True) / self.least_density).clamp(max=1)
        return to_bytes(torch.lerp(light_BHW3, moved_BHW3, share_BHW1))


def opponents_of(light: Tensor) -> list[Tensor]:
    """Return l, alpha and beta of grey levels ``(..., 3)``; black counts as one grey level."""
    cones = combined(light.clamp(min=1.0).unbind(-1), CONES)
    return combined([cone.log() for cone in cones], OPPONENTS)


def light_of(lab: list[Tensor]) -> list[Tensor]:
    """Return the grey levels, unrounded, of l, alpha and beta."""
    cones = [cone.exp() for cone in combined(lab, OPPONENTS.T)]
    return combined(cones, torch.linalg.inv(CONES))
