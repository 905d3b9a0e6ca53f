"""The benchmark of the page asks for every tile once, and measures a server that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

SLIDE = {"slide_id": "s", "max_level": 11, "zoom_tile_px": 512, "width_px0": 1031, "height_px0": 77}


def test_tiles_of_the_last_levels_by_hand(load: Callable[[str], ModuleType]) -> None:
    found = load("review").tiles_of(SLIDE, levels=2)
    finest = [f"tiles/s/11/{column}_0.jpg" for column in range(3)]
    assert found == [*finest, "tiles/s/10/0_0.jpg", "tiles/s/10/1_0.jpg"]
