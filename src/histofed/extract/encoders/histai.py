"""Encoders of HistAI."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, EncoderCard

_MEAN = (0.7068, 0.5755, 0.722)
_STD = (0.195, 0.2316, 0.1816)
_PAPER = "Nechaev et al. 2024, arXiv:2406.05074"
_SWIGLU = {
    "img_size": 224,
    "init_values": 1e-5,
    "num_classes": 0,
    "mlp_layer": "SwiGLUPacked",
    "act_layer": "SiLU",
}

HIBOU_B = EncoderCard(
    name="hibou_b",
    title="Hibou-B",
    dim=768,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    loader="transformers",
    hub="histai/hibou-b",
    architecture="vit_base_patch14_reg4_dinov2",
    arguments={**_SWIGLU, "mlp_ratio": 4096 / 768},
    layout="transformers dinov2",
    parameters_m=86,
    licence="Apache-2.0",
    gated=True,
    commercial=True,
    paper=_PAPER,
)

HIBOU_L = EncoderCard(
    name="hibou_l",
    title="Hibou-L",
    dim=1024,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    loader="transformers",
    hub="histai/hibou-L",
    architecture="vit_large_patch14_reg4_dinov2",
    arguments={**_SWIGLU, "mlp_ratio": 5472 / 1024},
    layout="transformers dinov2",
    parameters_m=304,
    licence="Apache-2.0",
    gated=True,
    commercial=True,
    paper=_PAPER,
)
