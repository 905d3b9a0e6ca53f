"""CROWN, by Zheng et al.: cytology."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, IMAGENET, EncoderCard

CROWN = EncoderCard(
    name="crown",
    title="CROWN",
    dim=1024,
    embedding=CLASS,
    size_px=224,
    mpp=(),
    trained_mpp=None,
    mean=IMAGENET[0],
    std=IMAGENET[1],
    loader="package",
    hub="LexieK/Crown",
    file="CROWN.pth",
    architecture="vit_large_patch16_224",
    arguments={
        "img_size": 224,
        "num_classes": 0,
        "init_values": 1.0,
        "mlp_ratio": 5472 / 1024,
        "mlp_layer": "SwiGLUPacked",
        "act_layer": "SiLU",
    },
    layout="dinov2",
    parameters_m=303,
    licence="Apache-2.0",
    gated=True,
    commercial=True,
    paper="Zheng et al. 2026, Nature Cancer, doi:10.1038/s43018-026-01240-0",
    note="For cytology, not for H&E slides.",
)
