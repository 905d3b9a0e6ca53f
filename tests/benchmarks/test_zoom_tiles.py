"""The benchmark of the viewer's tiles makes each tile of a level, in every way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.io.pyramid import write_pyramid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType


def test_every_tile_is_made_in_every_way(tmp_path: Path, load: Callable[[str], ModuleType]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1100, 1600, 3), dtype=np.uint8)
    slide = write_pyramid(tmp_path / "s.svs", pixels, mpp=0.25)
    for halvings, expected in ((0, 4 * 3), (1, 2 * 2)):
        spent, n_tiles = load("zoom_tiles").measure(slide, halvings)
        assert n_tiles == expected
        assert sorted(spent) == ["apart", "kept", "limit"]
        assert all(seconds > 0 for seconds in spent.values())
