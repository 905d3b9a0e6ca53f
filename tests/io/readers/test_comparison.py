"""What differs from OpenSlide anywhere that shows something is left to OpenSlide."""

from __future__ import annotations

import numpy as np
import pytest

from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide, tiff, tiff_levels


@pytest.fixture
def white_middle(tmp_path):
    """A slide of three levels that shows something only in one corner."""
    pixels = np.full((1600, 1600, 3), 255, dtype=np.uint8)
    corner = np.random.default_rng(0).integers(0, 200, (50, 50, 3), dtype=np.uint8)
    pixels[:400, :400] = corner.repeat(8, axis=0).repeat(8, axis=1)
    return write_pyramid(tmp_path / "s.svs", pixels, mpp=0.5)


def with_decoders(monkeypatch, changed) -> None:
    """Let every level be decoded by ``changed(decode)``."""

    def stored_levels(path, info):
        levels = tiff_levels.stored_levels(path, info)
        for level in levels:
            object.__setattr__(level, "decode", changed(level.decode))
        return levels

    monkeypatch.setattr(tiff, "stored_levels", stored_levels)


def test_wrong_colours_show_where_the_middle_is_empty(white_middle, monkeypatch) -> None:
    with open_slide(white_middle) as reader:
        assert reader.rule == "tiff"
    with_decoders(monkeypatch, lambda decode: lambda *block: decode(*block)[..., ::-1])
    with open_slide(white_middle) as reader:
        assert reader.rule.startswith("openslide: level 0 differs from OpenSlide by ")


def test_what_only_openslide_decodes_is_not_called_fast(white_middle, monkeypatch) -> None:
    def unknown(*_):
        raise ValueError("unknown subsampling")

    with_decoders(monkeypatch, lambda _: unknown)
    with open_slide(white_middle) as reader:
        assert reader.rule == "openslide: level 0 is stored in a way that is not read fast"
