"""Where the tissue is: one interface, one method per file.

A method is a frozen dataclass that follows `TissueMethod`; ``configs/tissue/`` holds one YAML per
method or preset. Every length is in microns, so a mask means the same on every scanner.
"""

from histofed.extract.tissue.base import MaskRules, TissueMethod
from histofed.extract.tissue.density import OpticalDensity
from histofed.extract.tissue.entropy import LocalEntropy
from histofed.extract.tissue.otsu import OtsuSaturation
from histofed.extract.tissue.regions import UserRegions

__all__ = [
    "LocalEntropy",
    "MaskRules",
    "OpticalDensity",
    "OtsuSaturation",
    "TissueMethod",
    "UserRegions",
]
