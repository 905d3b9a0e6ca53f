"""How a hospital stains and scans: Beer-Lambert light through haematoxylin and eosin.

Array suffixes: H height, W width, 3 = RGB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RGB = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stain:
    """One staining run.

    Attributes
    ----------
    haematoxylin, eosin
        Optical density of one unit of the dye, per channel.
    white
        Transmitted light of empty glass, 0..255.
    """

    haematoxylin: RGB
    eosin: RGB
    white: RGB = (242.0, 241.0, 243.0)

    def vary(self, rng: np.random.Generator) -> Stain:
        """Return the stain of one slide: no two come out of the bath alike."""

        def scaled(dye: RGB) -> RGB:
            strength = rng.normal(1.0, 0.07)
            red, green, blue = np.asarray(dye) * strength * rng.normal(1.0, 0.03, 3)
            return float(red), float(green), float(blue)

        return replace(self, haematoxylin=scaled(self.haematoxylin), eosin=scaled(self.eosin))

    def through(
        self, haematoxylin_HW: NDArray[np.float32], eosin_HW: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        """Return the RGB picture ``(H, W, 3)`` of light that passed the two dyes."""
        rgb = np.empty((*haematoxylin_HW.shape, 3), np.uint8)
        for channel in range(3):
            density = haematoxylin_HW * np.float32(self.haematoxylin[channel])
            density += eosin_HW * np.float32(self.eosin[channel])
            np.negative(density, out=density)
            np.exp(density, out=density)
            density *= np.float32(self.white[channel])
            rgb[..., channel] = density
        return rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One hospital: its stain, its scanner and how many of its patients are mutated.

    Attributes
    ----------
    mpp
        Microns per pixel of the scanner.
    objective_power
        As the scanner states it; None for one that does not.
    noise
        Standard deviation of the sensor's noise, grey levels.
    prevalence
        Fraction of patients that are mutated.
    """

    name: str
    stain: Stain
    mpp: float
    vendor: Literal["aperio", "generic"]
    objective_power: float | None
    noise: float
    prevalence: float

    @property
    def suffix(self) -> str:
        """File name ending of the scanner's format."""
        return ".svs" if self.vendor == "aperio" else ".tif"


SITES = (
    Site(
        name="alder",
        stain=Stain(haematoxylin=(0.66, 0.70, 0.29), eosin=(0.10, 0.62, 0.22)),
        mpp=0.25,
        vendor="aperio",
        objective_power=40,
        noise=2.0,
        prevalence=4 / 14,
    ),
    Site(
        name="birch",
        stain=Stain(haematoxylin=(0.78, 0.80, 0.30), eosin=(0.08, 0.72, 0.32)),
        mpp=0.2527,
        vendor="aperio",
        objective_power=40,
        noise=2.5,
        prevalence=6 / 14,
    ),
    Site(
        name="cedar",
        stain=Stain(
            haematoxylin=(0.74, 0.92, 0.40), eosin=(0.07, 0.86, 0.42), white=(238, 235, 240)
        ),
        mpp=0.50,
        vendor="aperio",
        objective_power=20,
        noise=3.0,
        prevalence=8 / 14,
    ),
    Site(
        name="dogwood",
        stain=Stain(
            haematoxylin=(0.70, 1.05, 0.48), eosin=(0.05, 1.00, 0.50), white=(245, 240, 236)
        ),
        mpp=0.44,
        vendor="generic",
        objective_power=None,
        noise=2.0,
        prevalence=10 / 14,
    ),
)
"""From pale to pink: the stain goes with the prevalence, as it may in a real study, so that a
model which learns the stain looks good on the whole cohort and is at chance in each hospital."""
