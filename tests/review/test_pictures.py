from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from histofed.review import deepzoom
from histofed.review.pictures import AT_ONCE, Pictures
from histofed.review.pool import SlidePool

if TYPE_CHECKING:
    import numpy as np
    import pytest

    from histofed.review.data import ReviewData


def test_many_viewers_do_not_take_memory_without_end(
    site: ReviewData, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, now, most = threading.Lock(), 0, 0
    read = deepzoom.read_zoom_tile

    def count(*what: object) -> np.ndarray:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        pixels = read(*what)  # type: ignore[arg-type]
        with lock:
            now -= 1
        return pixels

    monkeypatch.setattr(deepzoom, "read_zoom_tile", count)
    pictures = Pictures(site, SlidePool(site.slides))
    places = [(level, col, row) for level in (12, 11) for col in range(2) for row in range(2)]
    asked = [(slide_id, *place) for slide_id in ("made-1", "made-2") for place in places]
    with ThreadPoolExecutor(3 * AT_ONCE) as threads:
        running = [
            threads.submit(pictures.zoom_tile, slide_id, level, col=col, row=row)
            for slide_id, level, col, row in asked
        ]
        assert all(len(each.result()) > 500 for each in running)
    assert 1 < most <= AT_ONCE
