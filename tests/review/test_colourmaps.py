"""The page's colours are matplotlib's."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pytest

from histofed.io.interop.qupath import COLOUR_MAPS
from histofed.review import colourmaps


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_the_page_has_the_colours_of_matplotlib(name: str) -> None:
    text = colourmaps.MODULE.read_text("utf-8")
    entry = re.search(rf"  {name}:\n(.*?),\n", text, re.DOTALL)
    assert entry is not None
    digits = "".join(re.findall(r'"([0-9a-f]+)"', entry[1]))
    found = np.frombuffer(bytes.fromhex(digits), np.uint8).reshape(256, 3)
    assert np.abs(found - 255 * mpl.colormaps[name](np.arange(256))[:, :3]).max() <= 0.5


def test_the_module_is_written_afresh_as_it_is() -> None:
    assert colourmaps.module() == colourmaps.MODULE.read_text("utf-8")
