"""Where the images of a folder lie, and tiles in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from histofed.core.areas import GUTTER_PX0, area_of, arranged
from histofed.core.tiling import TileSpec, check_size, full_grid, level_boxes
from histofed.core.types import PlacedImage, SlideInfo
from histofed.errors import ConfigError, SlideError

SIDE = st.integers(1, 900)
SIZES = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=12)
CELLS = st.lists(st.tuples(st.integers(2, 400), st.integers(2, 400)), min_size=1, max_size=12)
MPP = st.floats(0.1, 1.0)


def folder(sizes: list[tuple[int, int]], mpp: float = 0.5) -> SlideInfo:
    corners, size = arranged(sizes)
    placed = tuple(
        PlacedImage(name=f"{i}.png", x_px0=x, y_px0=y, width_px0=w, height_px0=h)
        for i, ((x, y), (w, h)) in enumerate(zip(corners.tolist(), sizes, strict=True))
    )
    return SlideInfo(mpp=mpp, level_sizes_px=(size,), vendor="images", images=placed)


@given(SIZES)
def test_images_lie_in_order_inside_of_the_plane_and_apart(sizes) -> None:
    corners, size = arranged(sizes)
    ends = corners + np.array(sizes)
    assert corners.min() >= GUTTER_PX0
    assert (ends + GUTTER_PX0 <= size).all()
    for i in range(len(sizes)):
        for j in range(i):
            gaps = np.maximum(corners[i] - ends[j], corners[j] - ends[i])
            assert gaps.max() >= GUTTER_PX0
    rows = corners[:, [1, 0]].tolist()
    assert rows == sorted(rows)  # row by row, in the order given


@given(st.integers(1, 40), SIDE)
def test_the_plane_of_equal_images_is_about_square(n, side) -> None:
    _, (width, height) = arranged([(side, side)] * n)
    cell = side + GUTTER_PX0
    assert abs(width - height) <= 3 * cell


def test_two_images_by_hand() -> None:
    corners, size = arranged([(100, 50), (30, 400)])
    assert corners.tolist() == [[256, 256], [256 + 100 + 256, 256]]
    assert size == (612 + 30 + 256, 256 + 400 + 256)
    corners, size = arranged([(900, 50), (30, 400)])
    assert corners.tolist() == [[256, 256], [256, 256 + 50 + 256]]
    assert size == (256 + 900 + 256, 562 + 400 + 256)


@given(SIZES, st.data())
def test_a_point_lies_in_the_image_that_it_was_taken_from(sizes, data) -> None:
    areas = np.array(folder(sizes).areas_px0)
    number = data.draw(st.integers(0, len(sizes) - 1))
    left, top, width, height = areas[number]
    x = left + data.draw(st.integers(0, int(width) - 1))
    y = top + data.draw(st.integers(0, int(height) - 1))
    assert area_of(areas, np.array([[x, y], [0, 0]])).tolist() == [number, -1]


@given(SIZES, MPP, st.integers(16, 256), st.integers(0, 12))
def test_every_tile_lies_in_one_image_and_no_whole_one_is_left_out(
    sizes, mpp, size_px, overlap
) -> None:
    info, spec = folder(sizes, mpp), TileSpec(size_px=size_px, overlap_px=overlap)
    grid, side = full_grid(spec, info), spec.side_px0(mpp)
    alone = [
        full_grid(spec, SlideInfo(mpp=mpp, level_sizes_px=(size,), vendor="test")) for size in sizes
    ]
    moved = [g + np.array([i.x_px0, i.y_px0]) for g, i in zip(alone, info.images, strict=True)]
    expected = np.concatenate(moved)
    assert sorted(grid.tolist()) == sorted(expected.tolist())
    assert grid[:, ::-1].tolist() == sorted(grid[:, ::-1].tolist())  # row by row
    areas, boxes = np.array(info.areas_px0), level_boxes(spec, info, grid)
    found = area_of(areas, grid + side / 2)
    assert (found >= 0).all()
    corners, ends = areas[found, :2], areas[found, :2] + areas[found, 2:]
    assert (boxes.corners_N2 >= corners).all()
    assert (boxes.corners_N2 + boxes.sizes_N2 <= ends).all()


@given(CELLS, MPP, st.integers(16, 128))
@example([(2, 6)], 0.5, 16)  # larger than the image by less than half a pixel
def test_a_cell_has_one_tile_around_its_middle(sizes, mpp, size_px) -> None:
    info = folder(sizes, mpp)
    spec = TileSpec(size_px=size_px, mpp=0.2, images="cells")
    grid, side = full_grid(spec, info), spec.side_px0(mpp)
    assert len(grid) == len(sizes)
    areas, boxes = np.array(info.areas_px0), level_boxes(spec, info, grid)
    found = area_of(areas, grid + side / 2)
    assert sorted(found.tolist()) == list(range(len(sizes)))
    middle = areas[found, :2] + areas[found, 2:] / 2
    assert np.abs(grid + side / 2 - middle).max() <= 0.5
    # It is read over its whole side, whatever its image covers of that.
    np.testing.assert_allclose(boxes.boxes_N4[:, 2:] - boxes.boxes_N4[:, :2], side)
    for low, high in zip(boxes.corners_N2, boxes.corners_N2 + boxes.sizes_N2, strict=True):
        shared = np.minimum(high, areas[:, :2] + areas[:, 2:]) - np.maximum(low, areas[:, :2])
        assert (shared > 0).all(axis=1).sum() == 1  # no other image reaches into it


@pytest.mark.parametrize(
    ("size", "images", "said"),
    [
        ((223, 500), "fields", "too large for 1.png (223 x 500); ask for smaller tiles"),
        ((223, 500), "fields", "tiling.images=cells"),
        ((10, 10), "cells", "at most 512 pixels are padded"),
    ],
)
def test_images_that_a_tile_does_not_suit_are_named(size, images, said) -> None:
    info = folder([(900, 900), size], 0.5 if images == "fields" else 0.2)
    with pytest.raises(SlideError) as caught:
        check_size(TileSpec(images=images), info, "smear")
    assert said in str(caught.value)


def test_images_as_large_as_a_tile_or_padded_in_the_gutter_are_taken() -> None:
    check_size(TileSpec(), folder([(224, 224)]), "smear")
    check_size(TileSpec(images="cells"), folder([(60, 48)]), "smear")
    many = folder([(10, 10)] * 5)
    with pytest.raises(SlideError, match=r"0\.png .*, 1\.png .*, 2\.png .* and 2 more"):
        check_size(TileSpec(), many, "smear")


def test_what_images_are_is_one_of_two_words() -> None:
    with pytest.raises(ConfigError, match=r"tiling\.images must be fields or cells, got 'cell'"):
        TileSpec(images="cell")
