from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.synth.tissue import (
    BORDER_UM,
    UM_PER_CELL,
    UM_PER_PX,
    Blob,
    Room,
    hexagonal,
    on_cells,
    outline,
)

SHAPE = (800, 960)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), pieces=st.integers(1, 2), area=st.floats(0.04, 0.1))
def test_tissue_has_the_area_asked_and_keeps_off_the_border(seed, pieces, area) -> None:
    tissue = outline(np.random.default_rng(seed), SHAPE, area_mm2=area, pieces=pieces)
    assert tissue.sum() * UM_PER_PX**2 / 1e6 == pytest.approx(area, rel=0.03)
    rim = round(0.6 * BORDER_UM / UM_PER_PX)
    inner = tissue[rim:-rim, rim:-rim]
    assert inner.sum() == tissue.sum()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), radius_um=st.floats(10, 60))
def test_claimed_discs_lie_in_tissue_and_never_overlap(seed, radius_um) -> None:
    rng = np.random.default_rng(seed)
    tissue = np.zeros(SHAPE, bool)
    tissue[100:700, 150:800] = True
    room = Room(tissue)
    centres = []
    while (at_um := room.claim(rng, radius_um)) is not None:
        centres.append(at_um)
    assert centres
    for x_um, y_um in centres:
        slack = radius_um - UM_PER_CELL
        assert 150 * UM_PER_PX + slack <= x_um <= 800 * UM_PER_PX - slack
        assert 100 * UM_PER_PX + slack <= y_um <= 700 * UM_PER_PX - slack
    gaps = [np.hypot(a[0] - b[0], a[1] - b[1]) for a in centres for b in centres if a is not b]
    assert all(gap >= 2 * radius_um for gap in gaps)


@given(spacing=st.floats(5, 40), jitter=st.floats(0, 0.3))
def test_lattice_has_its_density_and_stays_inside(spacing, jitter) -> None:
    points = hexagonal(np.random.default_rng(0), 600, 500, spacing_um=spacing, jitter=jitter)
    assert ((points >= 0) & (points <= (600, 500))).all()
    expected = 600 * 500 / (spacing**2 * np.sqrt(0.75))
    assert len(points) == pytest.approx(expected, rel=0.3)


def test_circle_is_as_deep_as_its_radius() -> None:
    circle = Blob(0, 0, 20.0, ())
    offsets = np.array([0.0, 5.0, 20.0, 30.0], np.float32)
    np.testing.assert_allclose(circle.inside_um(offsets, np.zeros(4, np.float32)), 20 - offsets)


def test_cells_are_means_of_whole_blocks() -> None:
    canvas = np.zeros((16, 24), np.float32)
    canvas[:8, 8:12] = 1
    np.testing.assert_array_equal(on_cells(canvas), [[0, 0.5, 0], [0, 0, 0]])
