"""What every stain method offers, and what normalising methods share.

Suffixes: N pixels, M of them stained, B tiles, H x W pixels, 3 RGB.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from histofed.errors import ConfigError
from histofed.extract.reading import read_batches
from histofed.extract.stain.density import stained
from histofed.io.pictures import read_picture

if TYPE_CHECKING:
    from torch import Tensor

    from histofed.io.readers import SlideReader
    from histofed.io.store import SlideTiles

Transform = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""RGB tiles ``(B, H, W, 3)`` of one slide -> the same tiles as the encoder shall see them."""

Learned = TypeVar("Learned")

CPU = torch.device("cpu")

POINTS_PER_SIDE = 64
"""About as many pixels of each side of a sampled tile are looked at."""

REFERENCE_POINTS_PER_SIDE = 512
"""The same of a reference, which is a single picture."""

SAMPLE_BATCH = 16


class StainMethod(Protocol):
    """How the stains of slides are made alike."""

    @property
    def record(self) -> dict[str, Any]:
        """Method, parameters and digest of the target: part of every feature file's identity."""

    def fit(
        self, reader: SlideReader, tiles: SlideTiles, *, device: torch.device = CPU
    ) -> Transform:
        """Return what brings the tiles of this slide to the target, computed on ``device``.

        Raises
        ------
        StainUnclear
            The slide's stains cannot be told apart.
        SlideUnreadable
            A tile of the sample cannot be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class AsScanned:
    """Tiles as they were scanned: no normalisation."""

    @property
    def record(self) -> dict[str, Any]:
        """Nothing: features made before there was a choice have the same digest."""
        return {}

    def fit(
        self, reader: SlideReader, tiles: SlideTiles, *, device: torch.device = CPU
    ) -> Transform:
        """Return what changes nothing; see `StainMethod.fit`."""
        return unchanged


def unchanged(tiles_BHW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the tiles as they are."""
    return tiles_BHW3


@dataclass(frozen=True, slots=True, kw_only=True)
class Normaliser(ABC, Generic[Learned]):
    """Learns a slide from an even sample of its tiles and brings them to a target.

    Attributes
    ----------
    white
        Grey level of empty glass, 0..255.
    least_density
        Decades of light, as the length of the RGB vector, below which a pixel is glass.
    n_tiles
        Tiles of the sample, evenly spaced over those kept of the slide; all if there are fewer.
    reference
        A picture of well stained tissue to normalise to; None takes the method's standard.
    """

    method: ClassVar[str]
    standard: ClassVar[Any]

    white: float = 240.0
    least_density: float = 0.15
    n_tiles: int = 64
    reference: str | None = None
    target: Learned = field(init=False, repr=False, compare=False)
    reference_digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what learns nothing, and learn the reference.

        Raises
        ------
        ConfigError
            A parameter is out of its limits, or the reference is no picture.
        StainUnclear
            The reference's stains cannot be told apart.
        """
        # torch finds percentiles of 16 million pixels, 1000 tiles, and not of more.
        limits = {"white": (1.0, 255.0), "least_density": (0.01, 1.0), "n_tiles": (1, 1000)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                msg = f"stain.{name} is from {low:g} to {high:g}, got {getattr(self, name)}"
                raise ConfigError(msg)
        for name in ("white", "least_density"):  # 240 and 240.0 must have the same digest
            object.__setattr__(self, name, float(getattr(self, name)))
        target, digest = self.standard, ""
        if self.reference is not None:
            picture_HW3, digest = read_picture(Path(self.reference))
            pixels_N3 = _pixels(picture_HW3[None], per_side=REFERENCE_POINTS_PER_SIDE)
            target = self.learned(pixels_N3, name=f"stain.reference={self.reference}")
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "reference_digest", digest)

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Return what belongs to this method alone, for the record."""

    @abstractmethod
    def learned(self, pixels_N3: Tensor, *, name: str) -> Learned:
        """Return what the method knows of a slide, from float64 pixels 0..255 of it.

        Raises
        ------
        StainUnclear
            ``name``'s stains cannot be told apart.
        """

    @abstractmethod
    def brought(self, tiles_BHW3: Tensor, found: Learned) -> Tensor:
        """Return the tiles of a slide of which ``found`` was learned, in the target's stains.

        Parameters
        ----------
        tiles_BHW3
            RGB, uint8, on any device; so is what is returned. Each pixel is seen alone, so neither
            the batch nor the rest of its tile matters.
        """

    @property
    def record(self) -> dict[str, Any]:
        """Method, parameters and target, for the feature file."""
        return {
            "method": self.method,
            "white": self.white,
            "least_density": self.least_density,
            "n_tiles": self.n_tiles,
            "points_per_side": POINTS_PER_SIDE,
            "target": self.reference_digest or "standard",
            **self.parameters(),
        }

    def stained(self, pixels_N3: Tensor, *, name: str) -> Tensor:
        """Return the pixels ``(M, 3)`` that are not glass; see `histofed.extract.stain.density`."""
        return stained(pixels_N3, white=self.white, least_density=self.least_density, name=name)

    def fit(
        self, reader: SlideReader, tiles: SlideTiles, *, device: torch.device = CPU
    ) -> Transform:
        """Return what brings the slide's tiles to the target; see `StainMethod.fit`."""
        sample_BHW3 = sampled(reader, tiles, n_tiles=self.n_tiles)
        # On the CPU in 64 bits, wherever tiles are: what is learned decides over the whole slide.
        pixels_N3 = _pixels(sample_BHW3, per_side=POINTS_PER_SIDE)
        found = self.learned(pixels_N3, name=f"slide {tiles.record.slide_id}")

        @torch.inference_mode()
        def transform(tiles_BHW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
            tiles_BHW3 = np.require(tiles_BHW3, requirements="W")  # torch wants to be allowed to
            there = torch.from_numpy(tiles_BHW3).to(device)
            return np.asarray(self.brought(there, found).cpu().numpy())

        return transform


def sampled(reader: SlideReader, tiles: SlideTiles, *, n_tiles: int) -> NDArray[np.uint8]:
    """Return ``(B, H, W, 3)``: tiles evenly spaced over those of a slide, the same ones always."""
    spec = tiles.record.reading_spec
    n_kept = len(tiles.coords_N2)
    rows_B = np.unique(np.linspace(0, n_kept - 1, min(n_tiles, n_kept)).round().astype(np.int64))
    sample_BHW3 = np.empty((len(rows_B), spec.size_px, spec.size_px, 3), dtype=np.uint8)
    corners_B2 = tiles.coords_N2[rows_B]
    for numbers, pixels in read_batches(reader, spec, corners_B2, batch_size=SAMPLE_BATCH):
        sample_BHW3[numbers] = pixels
    return sample_BHW3


def _pixels(pictures_BHW3: NDArray[np.uint8], *, per_side: int) -> Tensor:
    """Return about ``per_side`` squared pixels ``(N, 3)`` of each picture, float64."""
    # An odd step does not fall in with JPEG's blocks of 8.
    rows, columns = (max(length // per_side, 1) | 1 for length in pictures_BHW3.shape[1:3])
    some = np.ascontiguousarray(pictures_BHW3[:, ::rows, ::columns])
    return torch.from_numpy(some).double().reshape(-1, 3)
