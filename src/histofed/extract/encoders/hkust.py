"""Encoders of the Smart Lab (Hong Kong University of Science and Technology)."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, IMAGENET, NO_DERIVATIVES, EncoderCard

_MEAN, _STD = IMAGENET

GPFM = EncoderCard(
    name="gpfm",
    title="GPFM",
    dim=1024,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    hub="majiabo/GPFM",
    file="GPFM.pth",
    architecture="vit_large_patch14_dinov2",
    arguments={"img_size": 224, "init_values": 1e-5, "num_classes": 0, "dynamic_img_size": True},
    layout="dinov2",
    parameters_m=303,
    licence=NO_DERIVATIVES,
    gated=False,
    commercial=False,
    paper="Ma et al. 2025, Nature Biomedical Engineering, doi:10.1038/s41551-025-01488-4",
)

MSTAR = EncoderCard(
    name="mstar",
    title="mSTAR",
    dim=1024,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=_MEAN,
    std=_STD,
    precision="fp16",
    hub="Wangyh/mSTAR",
    architecture="vit_large_patch16_224",
    arguments={"num_classes": 0, "init_values": 1e-5, "dynamic_img_size": True},
    parameters_m=303,
    licence=NO_DERIVATIVES,
    gated=True,
    commercial=False,
    paper="Xu et al. 2024, arXiv:2407.15362",
)
