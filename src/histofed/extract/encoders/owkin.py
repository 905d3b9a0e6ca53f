"""Encoders of Owkin. Licence: Owkin non-commercial."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, IMAGENET, EncoderCard

_LICENCE = "Owkin non-commercial"
_MEAN, _STD = IMAGENET

PHIKON = EncoderCard(
    name="phikon",
    title="Phikon",
    dim=768,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    loader="transformers",
    hub="owkin/phikon",
    architecture="vit_base_patch16_224",
    arguments={"num_classes": 0, "norm_layer": "LayerNorm eps=1e-12"},
    layout="transformers vit",
    unused=("pooler.",),
    parameters_m=85.8,
    licence=_LICENCE,
    gated=False,
    commercial=False,
    paper="Filiot et al. 2023, medRxiv 2023.07.21.23292757",
)

PHIKON_V2 = EncoderCard(
    name="phikon_v2",
    title="Phikon-v2",
    dim=1024,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    loader="transformers",
    hub="owkin/phikon-v2",
    architecture="vit_large_patch16_224",
    arguments={"num_classes": 0, "init_values": 1.0},
    layout="transformers dinov2",
    parameters_m=303,
    licence=_LICENCE,
    gated=False,
    commercial=False,
    paper="Filiot et al. 2024, arXiv:2409.09173",
)
