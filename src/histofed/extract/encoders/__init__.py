"""Tile encoders: one file per lab; ``configs/encoder/`` is the list of them."""

from histofed.extract.encoders.base import EncoderCard, TileEncoder

__all__ = ["EncoderCard", "TileEncoder"]
