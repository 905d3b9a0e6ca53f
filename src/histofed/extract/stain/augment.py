"""Stain augmentation: the same tissue as another bath would have stained it.

Tellez et al. 2019, "Quantifying the effects of data augmentation and stain color normalization in
convolutional neural networks for computational pathology", Medical Image Analysis 58:101544. Light
is taken apart into haematoxylin, eosin and DAB with the vectors of Ruifrok & Johnston 2001 (Anal
Quant Cytol Histol 23:291-299), and each stain is scaled and shifted at random.

Features are stored once per tile, so extraction makes no augmented copies; this is for measuring
how much an encoder minds the stain (``benchmarks/stain.py``) and for training on tiles.

Suffixes: B tiles, H x W pixels, 3 RGB or stains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from histofed.errors import ConfigError
from histofed.extract.stain.density import combined, light_through, optical_density

if TYPE_CHECKING:
    from torch import Tensor

HED = torch.tensor(
    [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], dtype=torch.float64
)
HED /= HED.norm(dim=1, keepdim=True)
"""Density of haematoxylin, eosin and DAB, of length 1 each."""

WHITE = 255.0


def hed_jitter(tiles_BHW3: Tensor, *, sigma: float, seed: int) -> Tensor:
    """Return the tiles, each with its stains scaled and shifted at random.

    Each stain's amount ``s`` becomes ``a s + b``, with ``a`` even in 1 - sigma .. 1 + sigma and
    ``b`` (decades of light) in -sigma .. sigma, one pair for each stain and tile.

    Parameters
    ----------
    tiles_BHW3
        RGB, uint8, on any device; so is what is returned.
    sigma
        0 changes nothing but black, which becomes one grey level. The paper's light jitter is 0.05,
        its strong one 0.2.
    seed
        The same seed gives the same stains on every device.

    Raises
    ------
    ConfigError
        ``sigma`` is not in 0..1.
    """
    if not 0 <= sigma <= 1:
        msg = f"the sigma of stain jitter is in 0..1, got {sigma}"
        raise ConfigError(msg)
    generator = torch.Generator().manual_seed(seed)
    drawn_B1123 = 2 * torch.rand(len(tiles_BHW3), 1, 1, 2, 3, generator=generator) - 1
    scale_B113, shift_B113 = (sigma * drawn_B1123).to(tiles_BHW3.device).unbind(-2)
    density = optical_density(tiles_BHW3.float(), white=WHITE)
    stains = torch.stack(combined(density.unbind(-1), torch.linalg.inv(HED).T), dim=-1)
    stains = stains * (1 + scale_B113) + shift_B113
    planes = combined(stains.unbind(-1), HED.T)
    return light_through(torch.stack(planes, dim=-1), white=WHITE)
