"""Stain normalisation: one interface, one paper per file.

A method learns the stains of a slide from an even sample of its tiles with tissue, and brings every
tile of that slide to one target. It never learns from a single tile: a tile of blood alone, or of
stroma alone, would be recoloured to look like average tissue, which is a known error.
"""

from histofed.extract.stain.base import AsScanned, StainMethod, Transform
from histofed.extract.stain.macenko import Macenko
from histofed.extract.stain.reinhard import Reinhard

__all__ = ["AsScanned", "Macenko", "Reinhard", "StainMethod", "Transform"]
