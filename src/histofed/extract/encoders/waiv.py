"""Encoders of Waiv: published ones made robust by fine-tuning. Licence: Waiv non-commercial.

The names of the tensors are taken to be those of the models they were made from (Phikon-v2,
Midnight's architecture); a file with others is refused, never loaded in part.
"""

from __future__ import annotations

from histofed.extract.encoders.cards import HALF, IMAGENET, UNIT_CLASS, EncoderCard

_LICENCE = "Waiv non-commercial"
_PAPER = "Filiot et al. 2026, arXiv:2607.22861"

PHAET = EncoderCard(
    name="phaet",
    title="Phaet",
    dim=1024,
    embedding=UNIT_CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=IMAGENET[0],
    std=IMAGENET[1],
    loader="transformers",
    hub="wearewaiv/phaet",
    revision="e0ce6e0ee248470bd8604823e412ca64048a2495",
    architecture="vit_large_patch16_224",
    arguments={"num_classes": 0, "init_values": 1.0},
    layout="transformers dinov2",
    parameters_m=303,
    licence=_LICENCE,
    gated=True,
    commercial=False,
    paper=_PAPER,
)

MASCARET = EncoderCard(
    name="mascaret",
    title="Mascaret",
    dim=1536,
    embedding=UNIT_CLASS,
    size_px=224,
    mpp=(0.5,),
    trained_mpp=(0.5,),
    mean=HALF[0],
    std=HALF[1],
    loader="transformers",
    hub="wearewaiv/mascaret",
    revision="e95e7ea15e039e78d74def101415e19d9a67ba80",
    architecture="vit_giant_patch14_dinov2",
    arguments={"img_size": 224, "num_classes": 0},
    layout="transformers dinov2",
    parameters_m=1140,
    licence=_LICENCE,
    gated=True,
    commercial=False,
    paper=_PAPER,
)
