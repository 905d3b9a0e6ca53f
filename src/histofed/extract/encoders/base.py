"""A tile encoder ready to use: card, weights with a digest, and one way to call it.

Suffixes: B tiles of a batch, H x W pixels, D features.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import pad

from histofed.extract.encoders.cores import on_every_core
from histofed.extract.encoders.engines import prepared, tiles_at_once

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from histofed.extract.encoders.cards import EncoderCard, Precision
    from histofed.extract.encoders.engines import Engine, Forward

CPU = torch.device("cpu")
AUTOCAST = {"fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class TileEncoder:
    """An encoder ready to use: card, module in eval mode, digest of its weights.

    ``precision`` is that of the arithmetic; weights stay in fp32, features are stored as fp16.
    ``engine`` is how it is carried out, see `histofed.extract.encoders.engines`.

    Raises
    ------
    ConfigError
        The engine does not do for this module; see `histofed.extract.encoders.engines.prepared`.
    """

    card: EncoderCard
    module: torch.nn.Module
    weights_digest: str
    device: torch.device = CPU
    precision: Precision = "fp32"
    engine: Engine = "eager"
    _forward: Forward = field(init=False, repr=False)
    _mean: torch.Tensor = field(init=False, repr=False)
    _std: torch.Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Put the module in the layout, mode and place in which it is called."""
        self.module.eval().requires_grad_(False)
        self.module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, values in (("_mean", self.card.mean), ("_std", self.card.std)):
            scaled = 255 * torch.tensor(values, device=self.device).view(1, 3, 1, 1)
            object.__setattr__(self, name, scaled)
        object.__setattr__(self, "_forward", self._prepared())

    @torch.inference_mode()
    def _prepared(self) -> Forward:
        shape = (2, 3, self.card.input_px, self.card.input_px)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        noise = noise.to(self.device).contiguous(memory_format=torch.channels_last)
        with self._arithmetic():
            return prepared(
                self.module,
                self.engine,
                name=self.card.name,
                probe_B3HW=noise,
                precision=self.precision,
            )

    @property
    def digest(self) -> str:
        """Digest of what the features depend on besides the pixels.

        Precision moves them by percents; device and engine by less than fp16 keeps, or little
        more, and so are not part of it.
        """
        facts = {**self.card.determines, "precision": self.precision}
        text = json.dumps([facts, self.weights_digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @torch.inference_mode()
    def encode(self, tiles_BHW3: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return the features ``(B, D)`` of RGB tiles ``(B, H, W, 3)``."""
        tiles_BHW3 = np.require(tiles_BHW3, requirements="W")  # torch wants to be allowed to
        return self.features(torch.from_numpy(tiles_BHW3).to(self.device)).cpu().numpy()

    @torch.inference_mode()
    def features(self, tiles_BHW3: torch.Tensor) -> torch.Tensor:
        """Return the features ``(B, D)`` in fp16 of RGB tiles on the device; waits for nothing."""
        n_tiles = len(tiles_BHW3)
        size = tiles_at_once(self.device, n_tiles)
        # The last part is filled up with black: for another shape libraries choose another order
        # of their sums, and the last bits of a tile's features would depend on where it lay.
        filled_BHW3 = pad(tiles_BHW3, (0, 0, 0, 0, 0, 0, 0, -n_tiles % size))
        parts = filled_BHW3.split(size)
        if self.device.type == "cpu" and self.engine != "compile":  # which has its own threads
            return torch.cat(on_every_core(self._features, parts))[:n_tiles]
        return torch.cat([self._features(part) for part in parts])[:n_tiles]

    def _features(self, tiles_BHW3: torch.Tensor) -> torch.Tensor:
        # A batch of interleaved RGB already is channels_last: permuting its axes copies nothing.
        pixels = framed(tiles_BHW3.permute(0, 3, 1, 2).float(), self.card)
        with self._arithmetic():
            features = self._forward(pixels.sub_(self._mean).div_(self._std))
        return features.half()

    def _arithmetic(self) -> AbstractContextManager[object]:
        if self.precision != "fp32":
            return torch.autocast(self.device.type, AUTOCAST[self.precision])
        if self.device.type == "cuda":  # else convolutions round their inputs to 10 bits
            return torch.backends.cudnn.flags(allow_tf32=False)
        return nullcontext()


def framed(pixels_B3HW: torch.Tensor, card: EncoderCard) -> torch.Tensor:
    """Resize pictures of values 0..255 and cut out their centre, where the card says so.

    The resizing is smoothed, and gives whole values as it does with pictures on disk.
    """
    if card.resize_px is not None and card.resize_px != pixels_B3HW.shape[-1]:
        side = (card.resize_px, card.resize_px)
        pixels_B3HW = torch.nn.functional.interpolate(
            pixels_B3HW, size=side, mode=card.interpolation, antialias=True
        )
        pixels_B3HW = pixels_B3HW.round_().clamp_(0, 255)
    if card.crop_px is not None:
        edge = round((pixels_B3HW.shape[-1] - card.crop_px) / 2)
        inside = slice(edge, edge + card.crop_px)
        pixels_B3HW = pixels_B3HW[:, :, inside, inside]
        pixels_B3HW = pixels_B3HW.contiguous(memory_format=torch.channels_last)
    return pixels_B3HW


def weights_digest(state: Mapping[str, torch.Tensor]) -> str:
    """Return the sha256 of a state dict: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).numpy().data)
    return digest.hexdigest()
