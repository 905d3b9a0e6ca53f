"""Stain vectors from the extremes of a slide's colours (Macenko et al. 2009).

Macenko et al. 2009, "A method for normalizing histology slides for quantitative analysis", IEEE
ISBI 1107-1110. In optical density the pixels of two stains lie in a plane, between the two stains'
own directions; those are found as robust extremes of the angle in that plane.

Suffixes: M stained pixels, S stains (haematoxylin, eosin), 3 RGB, B tiles, H x W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from histofed.errors import ConfigError, StainUnclear
from histofed.extract.stain.base import Normaliser
from histofed.extract.stain.density import combined, light_through, optical_density

if TYPE_CHECKING:
    from torch import Tensor

ANGLE_PERCENTILE = 1.0
"""As in the paper."""

LEAST_ANGLE_DEG = 12.0
"""Two stains closer than this are one with noise, which through JPEG is up to 10 degrees wide;
haematoxylin and eosin are 20 to 45 apart."""

LEAST_AMOUNT = 0.05
"""Decades of light that the strongest pixels of each stain must take away."""


@dataclass(frozen=True, slots=True)
class Stains:
    """The stains of a slide.

    Attributes
    ----------
    vectors_S3
        Density of one unit of each stain, of length 1; haematoxylin first.
    most_S
        Amount of each stain in the slide's strongest pixels, decades of light.
    """

    vectors_S3: Tensor
    most_S: Tensor

    def amounts(self, density_M3: Tensor) -> list[Tensor]:
        """Return how much of each stain gives a density, by least squares; never less than 0."""
        inverse_S3 = torch.linalg.pinv(self.vectors_S3.T)
        found = combined(density_M3.unbind(-1), inverse_S3)
        return [amount.clamp(min=0) for amount in found]


PUBLISHED = Stains(
    torch.tensor([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]], dtype=torch.float64),
    torch.tensor([1.9705, 1.0308], dtype=torch.float64) / math.log(10),
)
"""Reference of the implementation that M. Veta published with the method's name in 2013, to which
most software normalises; its amounts are in natural units, those here in decades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Macenko(Normaliser[Stains]):
    """Exchange a slide's two stains for those of the target, in the same proportions.

    What is neither stain (pigment, brown DAB) becomes what of it lies in their plane, and glass
    becomes ``white``.

    Attributes
    ----------
    angle_percentile
        Percent of the pixels left out at each end of the angle; more is more robust, and takes
        stains that are mixed for pure.
    most_percentile
        Percentile of a stain's amounts that stands for its strongest pixels.
    """

    method: ClassVar[str] = "macenko"
    standard: ClassVar[Stains] = PUBLISHED

    angle_percentile: float = ANGLE_PERCENTILE
    most_percentile: float = 99.0

    def __post_init__(self) -> None:
        """Refuse percentiles that are none, then see to the reference."""
        for name, low, high in (("angle_percentile", 0, 25), ("most_percentile", 50, 100)):
            value = float(getattr(self, name))
            if not low <= value <= high:
                msg = f"stain.{name} is a percentile from {low} to {high}, got {value:g}"
                raise ConfigError(msg)
            object.__setattr__(self, name, value)
        # Named, as slots make a new class and super() without arguments would look in the old one.
        Normaliser.__post_init__(self)

    def parameters(self) -> dict[str, Any]:
        """Return what belongs to this method alone."""
        return {
            "angle_percentile": self.angle_percentile,
            "most_percentile": self.most_percentile,
        }

    def learned(self, pixels_N3: Tensor, *, name: str) -> Stains:
        """Return the stains of some pixels; see `Normaliser.learned`."""
        density_M3 = optical_density(self.stained(pixels_N3, name=name), white=self.white)
        vectors_S3 = stain_vectors(density_M3, percentile=self.angle_percentile, name=name)
        amounts_S = Stains(vectors_S3, torch.ones(2)).amounts(density_M3)
        share = self.most_percentile / 100
        most_S = torch.stack([torch.quantile(amount, share) for amount in amounts_S])
        if float(most_S.min()) < LEAST_AMOUNT:
            haematoxylin, eosin = most_S.tolist()
            msg = (
                f"{name}: its strongest pixels hold {haematoxylin:.3f} of haematoxylin and "
                f"{eosin:.3f} of eosin (decades of light; at least {LEAST_AMOUNT:g} of each are "
                "needed); look at it, or extract with stain=none"
            )
            raise StainUnclear(msg)
        return Stains(vectors_S3, most_S)

    def brought(self, tiles_BHW3: Tensor, found: Stains) -> Tensor:
        """Return tiles in the target's stains; see `Normaliser.brought`."""
        density_BHW3 = optical_density(tiles_BHW3.float(), white=self.white)
        ratio_S = self.target.most_S / found.most_S
        target_3S = (self.target.vectors_S3 * ratio_S[:, None]).T
        planes = combined(found.amounts(density_BHW3), target_3S)
        return light_through(torch.stack(planes, dim=-1), white=self.white)


def stain_vectors(density_M3: Tensor, *, percentile: float, name: str) -> Tensor:
    """Return the directions ``(S, 3)`` of haematoxylin and eosin, of length 1, none negative.

    Parameters
    ----------
    density_M3
        Stained pixels only, float64.
    percentile
        Percent of the pixels left out at each end of the angle.

    Raises
    ------
    StainUnclear
        There is one stain, or none.
    """
    # The two first right singular vectors, from the 3 x 3 matrix whose eigenvectors they are.
    _, axes_33 = torch.linalg.eigh(density_M3.T @ density_M3)
    first_3, second_3 = axes_33[:, 2], axes_33[:, 1]
    first_3 = first_3 * torch.sign(first_3.sum())  # a sign is arbitrary; densities are positive
    angles_M = torch.atan2(density_M3 @ second_3, density_M3 @ first_3)
    share = percentile / 100
    ends = torch.quantile(angles_M, torch.tensor([share, 1 - share], dtype=torch.float64))
    angle_deg = math.degrees(float(ends[1] - ends[0]))
    if not angle_deg >= LEAST_ANGLE_DEG:
        msg = (
            f"{name}: its colours are {angle_deg:.1f} degrees wide, so it holds one stain, not two "
            f"(at least {LEAST_ANGLE_DEG:g} are needed); look at it, or extract with stain=none"
        )
        raise StainUnclear(msg)
    vectors_S3 = torch.outer(torch.cos(ends), first_3) + torch.outer(torch.sin(ends), second_3)
    vectors_S3 = vectors_S3.clamp(min=0)  # no stain gives light
    vectors_S3 = vectors_S3 / vectors_S3.norm(dim=1, keepdim=True)
    # Haematoxylin is the one that takes more of the red.
    return vectors_S3[torch.argsort(vectors_S3[:, 0], descending=True)]
