"""Encoders of Mount Sinai. Of their preprocessing and files little is known here."""

from __future__ import annotations

from histofed.extract.encoders.cards import CLASS, IMAGENET, EncoderCard


def _sinai(name: str, *, dim: int, parameters_m: float) -> EncoderCard:
    return EncoderCard(
        name=name,
        title=name.upper(),
        dim=dim,
        embedding=CLASS,
        size_px=224,
        mpp=(0.5,),
        trained_mpp=None,
        mean=IMAGENET[0],
        std=IMAGENET[1],
        hub=f"MountSinaiCompPath/{name.upper()}",
        parameters_m=parameters_m,
        licence="non-commercial",
        gated=None,
        commercial=False,
        paper="Campanella et al. 2023, arXiv:2310.07033",
        note="Normalisation and embedding are not known for certain: the usual ones are named.",
    )


SP22M = _sinai("sp22m", dim=384, parameters_m=22)
SP85M = _sinai("sp85m", dim=768, parameters_m=85)
