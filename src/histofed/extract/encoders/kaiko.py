"""Encoders of kaiko.ai."""

from __future__ import annotations

from typing import Any

from histofed.extract.encoders.cards import CLASS, CLASS_AND_MEAN, HALF, EncoderCard

_MEAN, _STD = HALF


def _large_scale(
    name: str, *, dim: int, hub: str, architecture: str, parameters_m: float, **arguments: Any
) -> EncoderCard:
    """Return a card of the family of "Towards Large-Scale Training of Pathology FMs"."""
    return EncoderCard(
        name=name,
        title=f"Kaiko {name.removeprefix('kaiko_vit').upper()}",
        dim=dim,
        embedding=CLASS,
        size_px=224,
        mpp=(0.5,),
        trained_mpp=(0.5,),
        mean=_MEAN,
        std=_STD,
        hub=f"1aurent/{hub}.kaiko_ai_towards_large_pathology_fms",
        architecture=architecture,
        arguments={"num_classes": 0, "dynamic_img_size": True, **arguments},
        parameters_m=parameters_m,
        licence=None,
        gated=False,
        commercial=False,
        paper="Aben et al. 2024, arXiv:2404.15217",
        note="Listed by others as not for commercial use: see the lab's repository for the terms.",
    )


KAIKO_VITS16 = _large_scale(
    "kaiko_vits16", dim=384, parameters_m=22,
    hub="vit_small_patch16_224", architecture="vit_small_patch16_224",
)  # fmt: skip
KAIKO_VITS8 = _large_scale(
    "kaiko_vits8", dim=384, parameters_m=22,
    hub="vit_small_patch8_224", architecture="vit_small_patch8_224",
)  # fmt: skip
KAIKO_VITB16 = _large_scale(
    "kaiko_vitb16", dim=768, parameters_m=86,
    hub="vit_base_patch16_224", architecture="vit_base_patch16_224",
)  # fmt: skip
KAIKO_VITB8 = _large_scale(
    "kaiko_vitb8", dim=768, parameters_m=86,
    hub="vit_base_patch8_224", architecture="vit_base_patch8_224",
)  # fmt: skip
# Its position embeddings are of 518 px, and resampled to the tile at each call.
KAIKO_VITL14 = _large_scale(
    "kaiko_vitl14", dim=1024, parameters_m=303, img_size=518,
    hub="vit_large_patch14_reg4_dinov2", architecture="vit_large_patch14_reg4_dinov2",
)  # fmt: skip

MIDNIGHT_12K = EncoderCard(
    name="midnight_12k",
    title="Midnight-12k",
    dim=3072,
    embedding=CLASS_AND_MEAN,
    size_px=224,
    mpp=(0.25, 0.5, 1.0, 2.0),
    trained_mpp=(0.25, 0.5, 1.0, 2.0),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    loader="transformers",
    hub="kaiko-ai/midnight",
    architecture="vit_giant_patch14_dinov2",
    arguments={"img_size": 224, "num_classes": 0},
    layout="transformers dinov2",
    parameters_m=1140,
    licence="MIT",
    gated=None,
    commercial=True,
    paper="Karasikov et al. 2025, arXiv:2504.05186",
    note="Some tools take the class token alone (1536); the lab's own rule is used here.",
)
