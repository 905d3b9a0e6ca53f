"""ResNet-50 with torchvision's ImageNet weights, cut behind its third stage: the old baseline."""

from __future__ import annotations

from histofed.extract.encoders.cards import FEATURE_MAP, IMAGENET, EncoderCard

RESNET50 = EncoderCard(
    name="resnet50",
    title="ResNet-50 (ImageNet)",
    dim=1024,
    embedding=FEATURE_MAP,
    size_px=224,
    mpp=(0.5, 1.0),
    trained_mpp=None,
    mean=IMAGENET[0],
    std=IMAGENET[1],
    hub="timm/resnet50.tv_in1k",
    architecture="resnet50",
    arguments={"num_classes": 0},
    unused=("layer4.",),
    parameters_m=8.5,
    licence="BSD-3-Clause",
    gated=False,
    commercial=True,
    paper="He et al. 2016, arXiv:1512.03385",
    note="Knows photographs, not pathology. 25 million parameters with its fourth stage.",
)
