"""CTransPath, by Wang et al. (Sichuan University): a Swin transformer with a convolutional stem."""

from __future__ import annotations

from histofed.extract.encoders.cards import FEATURE_MAP, IMAGENET, EncoderCard

CTRANSPATH = EncoderCard(
    name="ctranspath",
    title="CTransPath",
    dim=768,
    embedding=FEATURE_MAP,
    size_px=224,
    mpp=(1.0,),
    trained_mpp=None,
    mean=IMAGENET[0],
    std=IMAGENET[1],
    loader="package",
    source="ctranspath.pth of github.com/Xiyue-Wang/TransPath",
    architecture="swin_tiny_patch4_window7_224",
    arguments={"num_classes": 0, "embed_layer": "ConvStem"},
    layout="ctranspath",
    container="model",
    unused=("head.",),
    parameters_m=27.5,
    licence="GPL-3.0",
    gated=False,
    commercial=False,
    paper="Wang et al. 2022, Medical Image Analysis, doi:10.1016/j.media.2022.102559",
    note="CHIEF's copy of the weights is under AGPL-3.0.",
)
