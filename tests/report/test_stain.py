from __future__ import annotations

import numpy as np
import pytest

from histofed.report.stain import stain_picture


@pytest.mark.parametrize("n_tiles", [1, 6])
def test_each_tile_stands_above_what_became_of_it(n_tiles) -> None:
    generator = np.random.default_rng(0)
    before, after = generator.integers(0, 256, (2, n_tiles, 8, 8, 3), dtype=np.uint8)
    figure = stain_picture(before, after, slide_id="S1", method="macenko")
    shown = [axes.images[0].get_array() for axes in figure.axes]
    for number in range(n_tiles):
        np.testing.assert_array_equal(shown[number], before[number])
        np.testing.assert_array_equal(shown[n_tiles + number], after[number])
    assert [axes.get_ylabel() for axes in figure.axes[::n_tiles]] == ["as scanned", "macenko"]
    assert "S1" in figure.get_suptitle()
