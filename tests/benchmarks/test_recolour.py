"""The benchmark of recolouring runs with the page's own modules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

pytestmark = pytest.mark.slow


def test_a_small_heat_map_is_recoloured_at_once(load: Callable[[str], ModuleType]) -> None:
    pytest.importorskip("playwright.sync_api")
    benchmark = load("recolour")
    if not Path(benchmark.CHROMIUM).is_file():
        pytest.skip(f"no browser at {benchmark.CHROMIUM}; install the Debian package chromium")
    result = benchmark.measure(side=100, turns=10)
    assert set(result["figures"]) == {"recolour_ms_1m", "rescale_ms_1m"}
    assert 0 < result["figures"]["recolour_ms_1m"] < 50
    assert result["rows"][0]["tiles"] == 10_000
