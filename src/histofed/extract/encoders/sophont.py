"""Encoders of Sophont and MedARC."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, IMAGENET, EncoderCard

OPENMIDNIGHT = EncoderCard(
    name="openmidnight",
    title="OpenMidnight",
    dim=1536,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=None,
    mean=IMAGENET[0],
    std=IMAGENET[1],
    precision="fp16",
    loader="package",
    hub="SophontAI/OpenMidnight",
    file="teacher_checkpoint_load.pt",
    architecture="vit_giant_patch14_reg4_dinov2",
    arguments={"img_size": 224, "num_classes": 0},
    layout="dinov2",
    parameters_m=1130,
    licence="Apache-2.0",
    gated=True,
    commercial=True,
    paper="Kaplan et al. 2025",
)
