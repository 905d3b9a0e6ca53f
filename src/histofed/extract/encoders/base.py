"""What a tile encoder is: a card of facts, weights with a digest, and one way to call it.

Suffixes: B tiles of a batch, H x W pixels, D features.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from histofed.core.tiling import TileSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderCard:
    """The facts about an encoder that a feature file must remember.

    Attributes
    ----------
    dim
        Length of a tile's feature vector.
    size_px, mpp
        Side of the tile picture, and the resolutions it may have.
    mean, std
        Normalisation of RGB scaled to 0..1.
    """

    name: str
    dim: int
    size_px: int
    mpp: tuple[float, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    embedding: str
    licence: str
    paper: str

    def check(self, spec: TileSpec) -> None:
        """Refuse tiles that the encoder was not trained for.

        Raises
        ------
        ConfigError
            Size or resolution do not fit; both and the fix are named.
        """
        if spec.size_px != self.size_px:
            msg = (
                f"encoder {self.name} takes tiles of {self.size_px} px, tiling.size_px is "
                f"{spec.size_px}; set tiling.size_px={self.size_px}"
            )
            raise ConfigError(msg)
        if not any(abs(spec.mpp - mpp) <= 0.05 * mpp for mpp in self.mpp):
            known = ", ".join(f"{mpp:g}" for mpp in self.mpp)
            msg = (
                f"encoder {self.name} is meant for {known} microns per pixel, tiling.mpp is "
                f"{spec.mpp:g}; set tiling.mpp to one of these"
            )
            raise ConfigError(msg)


@dataclass(frozen=True)
class TileEncoder:
    """An encoder ready to use: card, module in eval mode, digest of its weights."""

    card: EncoderCard
    module: torch.nn.Module
    weights_digest: str
    _mean: torch.Tensor = field(init=False, repr=False)
    _std: torch.Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Put the module in the layout and mode in which it is called."""
        self.module.eval().requires_grad_(False)
        self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        shape = (1, 3, 1, 1)
        object.__setattr__(self, "_mean", 255 * torch.tensor(self.card.mean).view(shape))
        object.__setattr__(self, "_std", 255 * torch.tensor(self.card.std).view(shape))

    @property
    def digest(self) -> str:
        """Digest of card and weights: what the features depend on besides the pixels."""
        text = json.dumps([asdict(self.card), self.weights_digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @torch.inference_mode()
    def encode(self, tiles_BHW3: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return the features ``(B, D)`` of RGB tiles ``(B, H, W, 3)``."""
        # A batch of interleaved RGB already is channels_last: permuting its axes copies nothing.
        tiles_BHW3 = np.require(tiles_BHW3, requirements="W")  # torch wants to be allowed to
        pixels = torch.from_numpy(tiles_BHW3).permute(0, 3, 1, 2).float()
        features = self.module(pixels.sub_(self._mean).div_(self._std))
        return features.half().numpy()


def weights_digest(state: Mapping[str, torch.Tensor]) -> str:
    """Return the sha256 of a state dict: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
