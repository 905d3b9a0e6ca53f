"""Encoders of Stanford's labs: PLIP (Zou) and MUSK (Li)."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLIP, HALF, NO_DERIVATIVES, PROJECTED, EncoderCard

PLIP = EncoderCard(
    name="plip",
    title="PLIP",
    dim=512,
    embedding=PROJECTED,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=None,
    mean=CLIP[0],
    std=CLIP[1],
    loader="transformers",
    hub="vinid/plip",
    architecture="vit_base_patch32_clip_quickgelu_224",
    arguments={"num_classes": 0},
    layout="transformers clip",
    unused=(
        "text_model.",
        "text_projection.",
        "logit_scale",
        "vision_model.embeddings.position_ids",
    ),
    parameters_m=87.8,
    licence="non-commercial",
    gated=False,
    commercial=False,
    paper="Huang et al. 2023, Nature Medicine, doi:10.1038/s41591-023-02504-3",
    note="Trained on pictures of unknown resolution, among them those of a social network.",
)

MUSK = EncoderCard(
    name="musk",
    title="MUSK",
    dim=1024,
    embedding="global image embedding, without head, not normalised (2048 with several scales)",
    size_px=384,
    mpp=(0.5,),
    trained_mpp=None,
    mean=HALF[0],
    std=HALF[1],
    precision="fp16",
    loader="package",
    hub="xiangjx/musk",
    parameters_m=675,
    licence=NO_DERIVATIVES,
    gated=True,
    commercial=False,
    paper="Xiang et al. 2025, Nature, doi:10.1038/s41586-024-08378-w",
)
