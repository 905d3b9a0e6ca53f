"""Card -> module: timm's architecture, and the embedding rule on what it puts out.

Suffixes: B tiles, T tokens (class token, register tokens, patch tokens), D features.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from histofed.errors import ConfigError
from histofed.extract.encoders.cards import (
    ATTENTION,
    CLASS,
    CLASS_AND_MEAN,
    FEATURE_MAP,
    PROJECTED,
    UNIT_CLASS,
    UNIT_PROJECTED,
)
from histofed.torchvision_compat import ensure_torchvision_imports

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.extract.encoders.cards import EncoderCard


class Embedder(nn.Module):
    """A trunk of timm and the rule that makes one vector of a tile."""

    def __init__(self, trunk: nn.Module, embedding: str) -> None:
        super().__init__()
        self.trunk = trunk
        self.rule = RULES[embedding]

    def forward(self, pixels_B3HW: torch.Tensor) -> torch.Tensor:
        """Return the features ``(B, D)`` of normalised pictures."""
        return self.rule(self.trunk, self.trunk.forward_features(pixels_B3HW))  # type: ignore[operator]


def _class_token(trunk: Any, tokens_BTD: torch.Tensor) -> torch.Tensor:
    return tokens_BTD[:, 0]


def _class_and_mean(trunk: Any, tokens_BTD: torch.Tensor) -> torch.Tensor:
    patches = tokens_BTD[:, trunk.num_prefix_tokens :]
    return torch.cat([tokens_BTD[:, 0], patches.mean(dim=1)], dim=-1)


def _unit_class_token(trunk: Any, tokens_BTD: torch.Tensor) -> torch.Tensor:
    return nn.functional.normalize(tokens_BTD[:, 0], dim=-1)


def _head(trunk: Any, output: torch.Tensor) -> torch.Tensor:
    embedded: torch.Tensor = trunk.forward_head(output)
    return embedded


def _attended(trunk: Any, tokens_BTD: torch.Tensor) -> torch.Tensor:
    pooled: torch.Tensor = trunk.head(tokens_BTD)
    return pooled


def _unit_head(trunk: Any, output: torch.Tensor) -> torch.Tensor:
    return nn.functional.normalize(trunk.forward_head(output), dim=-1)


RULES: dict[str, Callable[[Any, torch.Tensor], torch.Tensor]] = {
    CLASS: _class_token,
    CLASS_AND_MEAN: _class_and_mean,
    UNIT_CLASS: _unit_class_token,
    PROJECTED: _head,
    UNIT_PROJECTED: _unit_head,
    FEATURE_MAP: _head,
    ATTENTION: _attended,
}
"""Embedding of a card -> what is done with the trunk's output."""


class ConvStem(nn.Module):
    """The stem of CTransPath (Wang et al. 2022): two strided convolutions, then a linear one."""

    def __init__(
        self,
        *,
        embed_dim: int,
        img_size: tuple[int, int],
        norm_layer: Callable[[int], nn.Module],
        patch_size: int = 4,
        in_chans: int = 3,
        **_: Any,
    ) -> None:
        super().__init__()
        narrow, wide = embed_dim // 8, embed_dim // 4
        self.grid_size = (img_size[0] // patch_size, img_size[1] // patch_size)
        self.proj = nn.Sequential(
            nn.Conv2d(in_chans, narrow, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, embed_dim, 1),
        )
        self.norm = norm_layer(embed_dim)

    def forward(self, pixels_B3HW: torch.Tensor) -> torch.Tensor:
        """Return tokens in place, ``(B, H / 4, W / 4, embed_dim)``."""
        tokens: torch.Tensor = self.norm(self.proj(pixels_B3HW).permute(0, 2, 3, 1))
        return tokens


class AttentionPool(nn.Module):
    """One learned query attends to all tokens (Yu et al. 2022, arXiv:2205.01917, section 3.2)."""

    def __init__(self, token_dim: int, dim: int, *, n_heads: int = 8, bias: bool) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Parameter(torch.zeros(1, dim))
        self.norm_query, self.norm_tokens = nn.LayerNorm(dim), nn.LayerNorm(token_dim)
        self.to_q = nn.Linear(dim, dim, bias=bias)
        self.to_k = nn.Linear(token_dim, dim, bias=bias)
        self.to_v = nn.Linear(token_dim, dim, bias=bias)
        self.to_out = nn.Linear(dim, dim, bias=bias)
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens_BTD: torch.Tensor) -> torch.Tensor:
        """Return one vector per tile."""
        tokens = self.norm_tokens(tokens_BTD)
        queries = self.norm_query(self.query).expand(len(tokens), -1, -1)
        q, k, v = (
            each.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for each in (self.to_q(queries), self.to_k(tokens), self.to_v(tokens))
        )
        seen = nn.functional.scaled_dot_product_attention(q, k, v)
        pooled: torch.Tensor = self.norm(self.to_out(seen.transpose(1, 2).flatten(2)))
        return pooled[:, 0]


def build(card: EncoderCard, *, device: str = "meta") -> Embedder:
    """Return the encoder without weights: on ``meta``, tensors have shapes and no values.

    Raises
    ------
    ConfigError
        The encoder's code is published by its lab only.
    """
    if card.architecture is None:
        where = f" (huggingface.co/{card.hub})" if card.hub else ""
        msg = (
            f"encoder {card.name} needs the code of its lab{where}, which is not run here; encode "
            "with a tool that has it and bring the features in with `histofed convert`, or take "
            "another encoder (`histofed encoders`)"
        )
        raise ConfigError(msg)
    ensure_torchvision_imports()
    import timm
    from timm.layers import SwiGLUPacked

    parts: dict[str, Any] = {
        "SwiGLUPacked": SwiGLUPacked,
        "SiLU": nn.SiLU,
        "LayerNorm eps=1e-12": partial(nn.LayerNorm, eps=1e-12),
        "ConvStem": ConvStem,
    }
    arguments = {
        name: parts.get(value, value) if isinstance(value, str) else value
        for name, value in card.arguments.items()
    }
    if card.architecture.startswith("vit"):
        arguments["weight_init"] = "skip"  # every value is replaced
    with torch.device(device):
        trunk: Any = timm.create_model(card.architecture, pretrained=False, **arguments)
        if card.architecture.startswith("resnet"):
            trunk.layer4 = nn.Identity()  # features of pathology are taken one stage earlier
        elif card.embedding == ATTENTION:
            trunk.head = AttentionPool(trunk.num_features, card.dim, bias=card.layout == "conch")
        elif card.embedding == PROJECTED:
            trunk.head = nn.Linear(trunk.num_features, card.dim, bias=False)
        elif card.embedding == UNIT_PROJECTED:
            trunk.head = nn.Sequential(
                nn.Linear(trunk.num_features, card.dim), nn.GELU(), nn.Linear(card.dim, card.dim)
            )
    return Embedder(trunk, card.embedding)
