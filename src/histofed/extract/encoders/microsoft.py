"""Encoders of Microsoft and Providence. Tiles of 256 px, of which the centre of 224 px is encoded.

timm's own transform for these weights would shrink the whole tile to 224 px instead, which is
another resolution than the one of the training.
"""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, IMAGENET, EncoderCard

_MEAN, _STD = IMAGENET

GIGAPATH = EncoderCard(
    name="gigapath",
    title="Prov-GigaPath",
    dim=1536,
    embedding=CLASS,
    size_px=256,
    crop_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    hub="prov-gigapath/prov-gigapath",
    architecture="vit_giant_patch14_dinov2",
    arguments={
        "img_size": 224,
        "patch_size": 16,
        "embed_dim": 1536,
        "depth": 40,
        "num_heads": 24,
        "init_values": 1e-5,
        "mlp_ratio": 5.33334,
        "num_classes": 0,
        "in_chans": 3,
    },
    parameters_m=1130,
    licence="Apache-2.0 with conditions (research)",
    gated=True,
    commercial=False,
    paper="Xu et al. 2024, Nature, doi:10.1038/s41586-024-07441-w",
)

GIGAPATH_FLASH = EncoderCard(
    name="gigapath_flash",
    title="Prov-GigaPath-Flash",
    dim=384,
    embedding=CLASS,
    size_px=256,
    crop_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    hub="prov-gigapath/prov-gigapath-flash",
    file="pytorch_model.bin",
    architecture="vit_small_patch16_224",
    arguments={
        "img_size": 224,
        "patch_size": 16,
        "embed_dim": 384,
        "depth": 12,
        "num_heads": 6,
        "mlp_ratio": 2048 / 384,
        "mlp_layer": "SwiGLUPacked",
        "act_layer": "SiLU",
        "init_values": 1e-5,
        "global_pool": "token",
        "reg_tokens": 0,
        "num_classes": 0,
    },
    parameters_m=21.7,
    licence="Apache-2.0",
    gated=True,
    commercial=False,
    paper=None,
    note="Listed as not for commercial use although the licence named is Apache-2.0: ask the lab.",
)
