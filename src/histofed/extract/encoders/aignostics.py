"""Encoders of Aignostics. Rotary positions over patches of 8 px; 8 register tokens."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS_AND_MEAN, NO_DERIVATIVES, EncoderCard


def _rudolf(name: str, *, dim: int, parameters_m: float, revision: str) -> EncoderCard:
    title = f"RudolfV-2{name.removeprefix('rudolfv2').upper().replace('_', '-')}"
    return EncoderCard(
        name=name,
        title=title,
        dim=dim,
        embedding=CLASS_AND_MEAN,
        size_px=224,
        mpp=(0.25, 0.5, 1.0, 2.0),
        trained_mpp=(0.25, 0.5, 1.0, 2.0),
        mean=(0.7072, 0.5787, 0.7036),
        std=(0.2119, 0.2301, 0.1775),
        loader="transformers",
        hub=f"Aignostics/{title}",
        revision=revision,
        parameters_m=parameters_m,
        licence=f"{NO_DERIVATIVES} with supplementary terms",
        gated=True,
        commercial=False,
        paper="Milbich et al. 2026",
    )


RUDOLFV2 = _rudolf(
    "rudolfv2", dim=3072, parameters_m=1130, revision="482d9519c6a10fc22fbe5bcd6a87d5daf056643c"
)
RUDOLFV2_B = _rudolf(
    "rudolfv2_b", dim=1536, parameters_m=85, revision="b2cb55c8fff8aaaf9cc16fda6d09bfb21dfc6db8"
)
RUDOLFV2_S = _rudolf(
    "rudolfv2_s", dim=768, parameters_m=21, revision="76abacd512a98c72a6db6192af9fc98313c3bd78"
)
