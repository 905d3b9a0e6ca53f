"""The plan of reading: every pixel arrives where it belongs, every block is decoded once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.io.readers.blocks import Axis, plan_reading


def axis(length_px: int, block_px: int) -> Axis:
    return Axis(length_px=length_px, block_px=block_px, n_blocks=-(-length_px // block_px))


def follow(plan, size_px, image, axes) -> np.ndarray:
    """Carry out a plan on a picture in memory; what nobody writes stays 255."""
    across, down = axes
    padded = np.full(
        (down.n_blocks * down.block_px, across.n_blocks * across.block_px), 77, dtype=np.uint8
    )
    padded[: image.shape[0], : image.shape[1]] = image
    found = np.full((len(plan.order_N), size_px[1], size_px[0]), 255, dtype=np.uint8)
    for visit, number in enumerate(plan.block_V.tolist()):
        row, column = divmod(number, across.n_blocks)
        block = padded[row * down.block_px :, column * across.block_px :][
            : down.block_px, : across.block_px
        ]
        for place, (top, left, y, x, height, width) in plan.pairs(visit):
            assert min(height, width) > 0
            found[place, top : top + height, left : left + width] = block[
                y : y + height, x : x + width
            ]
    back = np.empty_like(found)
    back[plan.order_N] = found
    return back


@given(st.data())
def test_every_rectangle_gets_its_pixels(data: st.DataObject) -> None:
    draw = data.draw
    width, height = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    axes = axis(width, draw(st.integers(1, 40))), axis(height, draw(st.integers(1, 40)))
    size = draw(st.integers(1, 50)), draw(st.integers(1, 50))
    places = st.tuples(st.integers(-60, 100), st.integers(-60, 100))
    corners = np.array(draw(st.lists(places, min_size=0, max_size=12)), dtype=np.int64)
    corners = corners.reshape(-1, 2)
    image = np.random.default_rng(0).integers(0, 250, (height, width), dtype=np.uint8)
    plan = plan_reading(corners, size, axes, max_open_bytes=draw(st.sampled_from([1, 9000, 10**9])))
    assert sorted(plan.order_N.tolist()) == list(range(len(corners)))
    canvas = np.full((300, 300), 255, dtype=np.uint8)
    canvas[100 : 100 + height, 100 : 100 + width] = image
    expected = [
        canvas[100 + y : 100 + y + size[1], 100 + x : 100 + x + size[0]] for x, y in corners
    ]
    found = follow(plan, size, image, axes)
    np.testing.assert_array_equal(found, np.array(expected).reshape(found.shape))
    assert plan.touched == len(set(plan.block_V.tolist()))


def grid(count: int, step: float) -> np.ndarray:
    starts = np.rint(np.arange(count) * step).astype(np.int64)
    return np.stack(np.meshgrid(starts, starts), axis=-1).reshape(-1, 2)


def test_each_block_is_decoded_once_and_in_order() -> None:
    axes = axis(20_000, 256), axis(20_000, 256)
    corners = grid(44, 443.21)
    shuffled = np.random.default_rng(0).permutation(corners)
    plan = plan_reading(shuffled, (444, 444), axes)
    assert len(plan.block_V) == plan.touched == 77 * 77  # 43 * 443.21 + 444 = 19502 = 76.2 blocks
    assert (np.diff(plan.block_V) > 0).all()
    np.testing.assert_array_equal(shuffled[plan.order_N], corners)


@pytest.mark.parametrize(("side", "step"), [(448, 448.0), (444, 443.21), (2048, 2048.0)])
def test_a_wide_slide_is_read_in_stripes_within_memory(side, step) -> None:
    axes = axis(100_000, 256), axis(100_000, 256)
    corners = grid(int(100_000 / step), step)
    plan = plan_reading(corners, (side, side), axes)
    assert len(plan.block_V) / plan.touched <= 1.05
    # A rectangle is open from the visit that first writes to it to the one that last does.
    visit_P = np.repeat(np.arange(len(plan.block_V)), np.diff(plan.start_V))
    first_N = np.full(len(corners), len(visit_P))
    last_N = np.zeros(len(corners), dtype=np.int64)
    np.minimum.at(first_N, plan.place_P, visit_P)
    np.maximum.at(last_N, plan.place_P, visit_P)
    changes = np.bincount(first_N, minlength=len(plan.block_V) + 1)
    changes -= np.bincount(last_N + 1, minlength=len(plan.block_V) + 1)
    assert np.cumsum(changes).max() * side**2 * 3 <= 192 * 2**20


def test_what_lies_outside_touches_no_block() -> None:
    axes = axis(100, 32), axis(100, 32)
    plan = plan_reading(np.array([[100, 0], [0, -50], [500, 500]]), (50, 50), axes)
    assert len(plan.block_V) == plan.touched == 0
    assert plan.order_N.tolist() == [1, 0, 2]
