"""Encoders of the MAGIC lab (Shanghai Jiao Tong University)."""

from __future__ import annotations

from histofed.extract.encoders.cards import IMAGENET, UNIT_PROJECTED, EncoderCard

KEEP = EncoderCard(
    name="keep",
    title="KEEP",
    dim=768,
    embedding=UNIT_PROJECTED,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=None,
    mean=IMAGENET[0],
    std=IMAGENET[1],
    precision="fp16",
    loader="transformers",
    hub="Astaxanthin/KEEP",
    file="model.safetensors",
    architecture="vit_large_patch16_224",
    arguments={"num_classes": 0, "init_values": 1e-5},
    layout="keep",
    unused=("text.", "logit_scale"),
    parameters_m=300,
    licence="MIT",
    gated=False,
    commercial=True,
    paper="Zhou et al. 2026, Cancer Cell, doi:10.1016/j.ccell.2026.01.019",
    note="Parameters of the image side.",
)
