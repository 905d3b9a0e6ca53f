"""PathOrchestra, of the AI4Pathology group."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, IMAGENET, NO_DERIVATIVES, EncoderCard

PATHORCHESTRA = EncoderCard(
    name="pathorchestra",
    title="PathOrchestra",
    dim=1024,
    embedding=CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=IMAGENET[0],
    std=IMAGENET[1],
    hub="AI4Pathology/PathOrchestra",
    architecture="vit_large_patch16_224",
    arguments={"num_classes": 0, "init_values": 1e-5},
    parameters_m=307,
    licence=NO_DERIVATIVES,
    gated=True,
    commercial=False,
    paper="Yan et al. 2025, arXiv:2503.24345",
)
