"""Tile encoders: one file per lab; ``configs/encoder/`` is the list of them."""

from histofed.extract.encoders.base import TileEncoder
from histofed.extract.encoders.cards import EncoderCard

__all__ = ["EncoderCard", "TileEncoder"]
