"""The colour maps of the page, taken from matplotlib.

``python -m histofed.review.colourmaps`` writes the page's module ``colourmaps.js`` afresh.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from histofed.io.interop.qupath import COLOUR_MAPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODULE = Path(__file__).parent / "static" / "colourmaps.js"
DIGITS_A_LINE = 90

_HEAD = """\
// Written by `python -m histofed.review.colourmaps` from matplotlib; do not edit. 256 colours each,
// six hex digits a colour, lowest score first. Viridis, magma and cividis (CC0) grow evenly in
// brightness and are readable by colour-blind eyes; coolwarm (K. Moreland, 2009) has a pale middle.

"""


def colours(name: str) -> NDArray[np.uint8]:
    """Return the 256 colours of a map as RGB ``(256, 3)``, lowest score first."""
    return np.rint(255 * mpl.colormaps[name](np.arange(256))[:, :3]).astype(np.uint8)


def module() -> str:
    """Return the text of the page's module."""
    return _HEAD + "export const COLOUR_MAPS = {\n" + "".join(map(_entry, COLOUR_MAPS)) + "};\n"


def _entry(name: str) -> str:
    digits = colours(name).tobytes().hex()
    lines = " +\n".join(f'    "{line}"' for line in textwrap.wrap(digits, DIGITS_A_LINE))
    return f"  {name}:\n{lines},\n"


if __name__ == "__main__":
    MODULE.write_text(module(), "utf-8")
