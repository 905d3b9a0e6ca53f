"""Encoders of GenBio AI."""

from __future__ import annotations

from histofed.extract.encoders.cards import EncoderCard

GENBIO_PATHFM = EncoderCard(
    name="genbio_pathfm",
    title="GenBio-PathFM",
    dim=4608,
    embedding="class tokens of the three colour channels, concatenated",
    size_px=224,
    mpp=(0.5,),
    trained_mpp=None,
    mean=(0.697, 0.575, 0.728),
    std=(0.188, 0.240, 0.187),
    precision="bf16",
    loader="transformers",
    hub="genbio-ai/genbio-pathfm",
    parameters_m=1100,
    licence="GenBio AI Community License",
    gated=False,
    commercial=False,
    paper="Kapse et al. 2026, bioRxiv, doi:10.1101/2026.03.17.712534",
)
