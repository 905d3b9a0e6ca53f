"""Encoders of Bioptimus."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, CLASS_AND_MEAN, NO_DERIVATIVES, EncoderCard

_MEAN = (0.707223, 0.578729, 0.703617)
_STD = (0.211883, 0.230117, 0.177517)
_VIT_GIANT = {
    "img_size": 224,
    "init_values": 1e-5,
    "dynamic_img_size": False,
    "num_classes": 0,
    "global_pool": "token",
}

H_OPTIMUS_0 = EncoderCard(
    name="h_optimus_0",
    title="H-optimus-0",
    dim=1536,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    hub="bioptimus/H-optimus-0",
    architecture="vit_giant_patch14_reg4_dinov2",
    arguments=_VIT_GIANT,
    parameters_m=1130,
    licence="Apache-2.0",
    gated=None,
    commercial=True,
    paper="Saillard et al. 2024, github.com/bioptimus/releases",
)

H_OPTIMUS_1 = EncoderCard(
    name="h_optimus_1",
    title="H-optimus-1",
    dim=1536,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    hub="bioptimus/H-optimus-1",
    architecture="vit_giant_patch14_reg4_dinov2",
    arguments=_VIT_GIANT,
    parameters_m=1130,
    licence=NO_DERIVATIVES,
    gated=True,
    commercial=False,
    paper=None,
)

H0_MINI = EncoderCard(
    name="h0_mini",
    title="H0-mini",
    dim=1536,
    embedding=CLASS_AND_MEAN,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    hub="bioptimus/H0-mini",
    architecture="vit_base_patch14_reg4_dinov2",
    arguments={
        "img_size": 224,
        "init_values": 1e-5,
        "num_classes": 0,
        "global_pool": "",
        "mlp_ratio": 5.33334,
        "mlp_layer": "SwiGLUPacked",
        "act_layer": "SiLU",
    },
    parameters_m=85.7,
    licence=NO_DERIVATIVES,
    gated=True,
    commercial=False,
    paper="Filiot et al. 2025, arXiv:2501.16239",
)
