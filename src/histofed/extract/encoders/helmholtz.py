"""DinoBloom, of the Marr lab (Helmholtz Munich): single cells of blood and marrow smears.

Not for H&E slides. Cells are cropped at about 0.1 to 0.2 microns per pixel.
"""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, IMAGENET, EncoderCard


def _bloom(letter: str, *, dim: int, architecture: str, parameters_m: float) -> EncoderCard:
    return EncoderCard(
        name=f"dinobloom_{letter.lower()}",
        title=f"DinoBloom-{letter}",
        dim=dim,
        embedding=CLASS,
        size_px=224,
        mpp=(),
        trained_mpp=None,
        mean=IMAGENET[0],
        std=IMAGENET[1],
        loader="package",
        source=f"DinoBloom-{letter}.pth of Zenodo record 10908163",
        architecture=architecture,
        arguments={"img_size": 224, "num_classes": 0},
        layout="dinov2",
        container="teacher",
        unused=("dino_head.", "ibot_head."),
        parameters_m=parameters_m,
        licence=None,
        gated=False,
        commercial=None,
        paper="Koch et al. 2024, arXiv:2404.05022",
        note="For cells of smears, not for H&E slides.",
    )


DINOBLOOM_S = _bloom("S", dim=384, architecture="vit_small_patch14_dinov2", parameters_m=22)
DINOBLOOM_B = _bloom("B", dim=768, architecture="vit_base_patch14_dinov2", parameters_m=86)
DINOBLOOM_L = _bloom("L", dim=1024, architecture="vit_large_patch14_dinov2", parameters_m=304)
DINOBLOOM_G = _bloom("G", dim=1536, architecture="vit_giant_patch14_dinov2", parameters_m=1136)
