"""Batches on their way through encoders: on a GPU one is copied while another is computed.

Suffixes: B tiles of a batch, H x W pixels, 3 RGB, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from histofed.extract.encoders.base import TileEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A batch that was given to encoders, and perhaps is not encoded yet.

    Attributes
    ----------
    tiles_BHW3
        Kept until the end: a GPU may still copy from this memory.
    ended
        Happens on the GPU when the features are there; None if they are.
    """

    tiles_BHW3: torch.Tensor
    features: Mapping[str, NDArray[np.float16]]
    ended: torch.cuda.Event | None = None

    def is_there(self) -> bool:
        """Whether the features can be had without waiting."""
        return self.ended is None or self.ended.query()

    def result(self) -> Mapping[str, NDArray[np.float16]]:
        """Return encoder -> features ``(B, D)``, once they are there."""
        if self.ended is not None:
            self.ended.synchronize()
        return self.features


class Transfers:
    """The way of batches to encoders on one device, and of their features back.

    On CUDA the tiles lie in memory that the GPU copies from by itself, on a stream of its own:
    while one batch is computed the next one arrives. Elsewhere a batch is encoded at once.

    Attributes
    ----------
    depth
        Batches under way at a time: with as many, the result of the first is waited for.
    """

    def __init__(self, encoders: Mapping[str, TileEncoder]) -> None:
        self._encoders = encoders
        (self._device,) = {encoder.device for encoder in encoders.values()}
        self._is_cuda = self._device.type == "cuda"
        self._arrivals = torch.cuda.Stream(self._device) if self._is_cuda else None
        self.depth = 2 if self._is_cuda else 1

    def room(self, n_tiles: int, size_px: int) -> torch.Tensor:
        """Return memory for a batch of RGB tiles; on CUDA it is taken from used batches again."""
        shape = (n_tiles, size_px, size_px, 3)
        if not self._is_cuda:
            return torch.empty(shape, dtype=torch.uint8)
        with torch.cuda.device(self._device):  # else the first GPU would be taken into use too
            return torch.empty(shape, dtype=torch.uint8, pin_memory=True)

    @torch.inference_mode()
    def start(self, tiles_BHW3: torch.Tensor, names: Sequence[str]) -> Started:
        """Give a batch to the encoders of these names; it is copied to the device once."""
        if self._arrivals is None:
            tiles = tiles_BHW3.numpy()
            features = {name: self._encoders[name].encode(tiles) for name in names}
            return Started(tiles_BHW3=tiles_BHW3, features=features)
        with torch.cuda.device(self._device):
            computing = torch.cuda.current_stream()
            with torch.cuda.stream(self._arrivals):
                there_BHW3 = tiles_BHW3.to(self._device, non_blocking=True)
            computing.wait_stream(self._arrivals)
            there_BHW3.record_stream(computing)  # not to be used for the next batch before
            features = {name: self._back(name, there_BHW3) for name in names}
            ended = torch.cuda.Event()
            ended.record(computing)
        return Started(tiles_BHW3=tiles_BHW3, features=features, ended=ended)

    def _back(self, name: str, there_BHW3: torch.Tensor) -> NDArray[np.float16]:
        """Return where the features of a batch will be."""
        features_BD = self._encoders[name].features(there_BHW3)
        here_BD = torch.empty(features_BD.shape, dtype=features_BD.dtype, pin_memory=True)
        here_BD.copy_(features_BD, non_blocking=True)
        found: NDArray[np.float16] = here_BD.numpy()
        return found
