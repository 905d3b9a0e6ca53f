"""Synthetic tissue: cells on fibres beside glass, as amounts of two dyes, in any stain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import ndimage

from histofed.synth.stain import SITES

if TYPE_CHECKING:
    from histofed.synth.stain import Stain

SIDE = 256


@dataclass(frozen=True)
class Tissue:
    """Amounts of dye: a quarter is glass, some pixels hold one dye alone."""

    haematoxylin_HW: np.ndarray
    eosin_HW: np.ndarray

    @classmethod
    def random(cls, seed: int) -> Tissue:
        generator = np.random.default_rng(seed)

        def waves(sigma: float) -> np.ndarray:
            noise = ndimage.gaussian_filter(generator.normal(size=(SIDE, SIDE)), sigma)
            return noise / noise.std()

        inside = np.arange(SIDE)[None, :] < 3 * SIDE // 4
        nuclei = (waves(3) > 0.8) & inside
        haematoxylin = nuclei * (1.6 + 0.4 * waves(2)).clip(0.6, 2.6)
        eosin = (inside & ~nuclei) * (0.9 + 0.3 * waves(6)).clip(0.4, 1.8)
        return cls(haematoxylin.astype(np.float32), eosin.astype(np.float32))

    def in_stain(self, stain: Stain) -> torch.Tensor:
        """Return one tile ``(1, H, W, 3)``, uint8."""
        return torch.from_numpy(stain.through(self.haematoxylin_HW, self.eosin_HW))[None]


@pytest.fixture(scope="session")
def tissue() -> Tissue:
    return Tissue.random(0)


@pytest.fixture(scope="session", params=SITES, ids=lambda site: site.name)
def tile(request, tissue) -> torch.Tensor:
    """The tissue as one of the four hospitals stains it."""
    return tissue.in_stain(request.param.stain)


@pytest.fixture(scope="session")
def pale_and_strong(tissue) -> tuple[torch.Tensor, torch.Tensor]:
    """The same tissue from the palest and from the pinkest bath."""
    return tissue.in_stain(SITES[0].stain), tissue.in_stain(SITES[3].stain)


def pixels_of(tiles: torch.Tensor) -> torch.Tensor:
    return tiles.double().reshape(-1, 3)


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Mean difference in grey levels."""
    return float((one.float() - other.float()).abs().mean())


@pytest.fixture(scope="session")
def normalised():
    """Return what normalises tiles by what is learned from themselves."""

    def through(method, tiles: torch.Tensor) -> torch.Tensor:
        return method.brought(tiles, method.learned(pixels_of(tiles), name="tissue"))

    return through


@pytest.fixture(scope="session")
def compare():
    return difference


@pytest.fixture(scope="session")
def flatten():
    return pixels_of


def _noisy(colour: tuple[int, int, int], spread: float, seed: int = 0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    # One stain, more or less of it, and the noise of a sensor.
    amount = generator.uniform(0.3, 1.6, (SIDE, SIDE, 1))
    light = 240 * (np.asarray(colour) / 240) ** amount + generator.normal(
        0, spread, (SIDE, SIDE, 3)
    )
    return torch.from_numpy(light.round().clip(0, 255).astype(np.uint8))[None]


@pytest.fixture(
    params=[
        ("stained", lambda: torch.full((1, 64, 64, 3), 255, dtype=torch.uint8)),
        ("stained", lambda: torch.full((1, 64, 64, 3), 236, dtype=torch.uint8)),
        ("grey", lambda: torch.full((1, 64, 64, 3), 90, dtype=torch.uint8)),
        ("grey", lambda: torch.zeros(1, 64, 64, 3, dtype=torch.uint8)),
        ("grey", lambda: _noisy((120, 120, 120), 3.0)),
        ("one stain", lambda: torch.tensor([[[[200, 120, 180]]]], dtype=torch.uint8)),
        ("one stain", lambda: _noisy((110, 80, 150), 0.0)),
        ("one stain", lambda: _noisy((110, 80, 150), 2.0)),
        ("one stain", lambda: _noisy((215, 140, 180), 2.0)),
    ],
    ids=["white", "light", "grey", "black", "noisy grey", "flat", "blue", "noisy blue", "pink"],
)
def unclear(request) -> tuple[str, torch.Tensor]:
    """A slide that no stain can be learned from, and a word of the reason."""
    reason, make = request.param
    return reason, make()
