"""Encoders of Lunit, self-supervised with DINO. Licence: Lunit non-commercial."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, EncoderCard


def _dino(patch_px: int) -> EncoderCard:
    return EncoderCard(
        name=f"lunit_vits{patch_px}",
        title=f"Lunit DINO ViT-S/{patch_px}",
        dim=384,
        embedding=CLASS,
        size_px=224,
        mpp=(0.5,),
        trained_mpp=(0.5,),
        mean=(0.70322989, 0.53606487, 0.66096631),
        std=(0.21716536, 0.26081574, 0.20723464),
        hub=f"1aurent/vit_small_patch{patch_px}_224.lunit_dino",
        architecture=f"vit_small_patch{patch_px}_224",
        arguments={"num_classes": 0, "dynamic_img_size": True},
        parameters_m=21.7,
        licence="Lunit non-commercial",
        gated=False,
        commercial=False,
        paper="Kang et al. 2023, arXiv:2212.04690",
    )


LUNIT_VITS16 = _dino(16)
LUNIT_VITS8 = _dino(8)
