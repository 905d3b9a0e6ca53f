"""Encoders of Paige."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS_AND_MEAN, IMAGENET, NO_DERIVATIVES, EncoderCard

_MEAN, _STD = IMAGENET
_VIT_HUGE = {
    "img_size": 224,
    "init_values": 1e-5,
    "num_classes": 0,
    "mlp_ratio": 5.3375,
    "global_pool": "",
    "mlp_layer": "SwiGLUPacked",
    "act_layer": "SiLU",
    "dynamic_img_size": True,
}

VIRCHOW = EncoderCard(
    name="virchow",
    title="Virchow",
    dim=2560,
    embedding=CLASS_AND_MEAN,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    hub="paige-ai/Virchow",
    architecture="vit_huge_patch14_224",
    arguments=_VIT_HUGE,
    parameters_m=631,
    licence="Apache-2.0",
    gated=True,
    commercial=True,
    paper="Vorontsov et al. 2024, arXiv:2309.07778",
)

VIRCHOW2 = EncoderCard(
    name="virchow2",
    title="Virchow2",
    dim=2560,
    embedding=CLASS_AND_MEAN,
    size_px=224,
    mpp=(0.25, 0.5, 1.0, 2.0),
    trained_mpp=(0.25, 0.5, 1.0, 2.0),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    hub="paige-ai/Virchow2",
    architecture="vit_huge_patch14_224",
    arguments={**_VIT_HUGE, "reg_tokens": 4},
    parameters_m=631,
    licence=NO_DERIVATIVES,
    gated=True,
    commercial=False,
    paper="Zimmermann et al. 2024, arXiv:2408.00738",
)
