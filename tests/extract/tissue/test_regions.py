from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histofed.core.types import SlideInfo
from histofed.errors import ConfigError, SlideError
from histofed.extract.tissue import UserRegions

if TYPE_CHECKING:
    from pathlib import Path

INFO = SlideInfo(mpp=0.25, level_sizes_px=((8000, 6000),), vendor="test")  # 2000 x 1500 um
THUMBNAIL = np.zeros((375, 500, 3), dtype=np.uint8)  # at 4 um
UM2 = 16.0


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def feature(coordinates: Any, *, kind: str = "Polygon", name: str = "") -> dict[str, Any]:
    about = {"objectType": "annotation"}
    if name:
        about["classification"] = {"name": name, "color": [200, 0, 0]}
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": about}


def drawn(folder: Path, content: Any, **options: Any) -> np.ndarray:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "S1.geojson").write_text(text, encoding="utf-8")
    method = UserRegions(folder=str(folder), mpp=4.0, **options)
    return method.mask(THUMBNAIL, slide_id="S1", info=INFO)


def test_a_polygon_with_a_hole_has_its_area_and_place(tmp_path) -> None:
    ring = [box(1600, 800, 4800, 4000), box(2400, 1600, 3200, 2400)]
    content = {"type": "FeatureCollection", "features": [feature(ring)]}
    mask = drawn(tmp_path, content)
    expected = np.zeros((375, 500), dtype=bool)
    expected[50:250, 100:300] = True  # 16 level-0 pixels of 0.25 um are one of 4 um
    expected[100:150, 150:200] = False
    np.testing.assert_array_equal(mask, expected)


def test_qupath_counts_from_the_corner_of_what_was_scanned(tmp_path) -> None:
    (tmp_path / "S1.geojson").write_text(json.dumps(feature([box(0, 0, 800, 1600)])))
    info = dataclasses.replace(INFO, scanned_from_px0=(1600, 800))
    mask = UserRegions(folder=str(tmp_path), mpp=4.0).mask(THUMBNAIL, slide_id="S1", info=info)
    expected = np.zeros((375, 500), dtype=bool)
    expected[50:150, 100:150] = True
    np.testing.assert_array_equal(mask, expected)


@settings(max_examples=30, deadline=None)
@given(st.floats(100, 3000), st.floats(100, 2500), st.floats(200, 4500), st.floats(200, 3000))
def test_any_rectangle_has_its_area(tmp_path_factory, left, top, width, height) -> None:
    folder = tmp_path_factory.mktemp("regions")
    mask = drawn(folder, feature([box(left, top, left + width, top + height)]))
    perimeter_um = 2 * (width + height) * INFO.mpp
    assert abs(mask.sum() * UM2 - width * height * INFO.mpp**2) <= perimeter_um * 4.0


@pytest.mark.parametrize("wrap", ["collection", "list", "feature", "geometry"])
def test_every_way_of_wrapping_is_the_same_region(tmp_path, wrap) -> None:
    rings = [[box(160, 160, 1600, 1600)], [box(3200, 3200, 4800, 4800)]]
    multi = feature(rings, kind="MultiPolygon")
    content = {
        "collection": {"type": "FeatureCollection", "features": [feature(each) for each in rings]},
        "list": [feature(each) for each in rings],
        "feature": multi,
        "geometry": multi["geometry"],
    }[wrap]
    assert drawn(tmp_path, content).sum() == 90 * 90 + 100 * 100


def test_a_hole_of_one_polygon_does_not_cut_another(tmp_path) -> None:
    ring = feature([box(0, 0, 3200, 3200), box(800, 800, 2400, 2400)])
    island = feature([box(1200, 1200, 1600, 1600)])
    for content in ([ring, island], [island, ring]):
        mask = drawn(tmp_path, content)
        assert mask.sum() == 200**2 - 100**2 + 25**2


def test_classes_are_chosen_by_name(tmp_path) -> None:
    content = [
        feature([box(0, 0, 1600, 1600)], name="Tumor"),
        feature([box(3200, 0, 4000, 800)], name="Necrosis"),
        feature([box(5600, 0, 6400, 800)]),
    ]
    assert drawn(tmp_path, content).sum() == 100**2 + 2 * 50**2
    assert drawn(tmp_path, content, classes=["Tumor"]).sum() == 100**2
    with pytest.raises(SlideError, match=r"no polygon of Stroma; it has Necrosis, Tumor, uncl"):
        drawn(tmp_path, content, classes=["Stroma"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not GeoJSON"),
        ("[1, 2]", "not a GeoJSON feature collection"),
        ("[]", "no polygon"),
        (json.dumps(feature([1.0, 2.0], kind="Point")), "found Point"),
        (json.dumps(feature([[[1, 2], [3, 4]]])), "three finite points"),
        (json.dumps(feature([[1, 2], [3, 4], [5, 6]])), "rings of"),
        (json.dumps(feature([box(9000, 0, 9500, 500)])), "another slide"),
        (json.dumps(feature([box(0.01, 0.01, 0.02, 0.02)])), "covers none"),
        (json.dumps(feature([box(0, 0, 10**400, 500)])), "feature 1: .* rings of"),
        (json.dumps(feature([box(0, 0, 77, 500)])).replace("77", "7" * 5000), "not GeoJSON"),
        ("[" * 100_000, "not GeoJSON"),
        (
            json.dumps(feature([box(0, 0, 9, 9)]) | {"properties": 5}),
            "feature 1: .* no object but int",
        ),
        (
            json.dumps(feature([box(0, 0, 9, 9)]) | {"properties": [1]}),
            "feature 1: .* no object but list",
        ),
        (json.dumps(feature(5, kind="MultiPolygon")), "feature 1: .* list of rings"),
        (json.dumps(feature(5)), "feature 1: .* list of rings"),
    ],
    ids=range(15),
)
def test_what_is_no_region_is_refused_by_file(tmp_path, content, said) -> None:
    with pytest.raises(SlideError, match=said) as refused:
        drawn(tmp_path, content)
    assert "S1.geojson" in str(refused.value)


@pytest.mark.parametrize(
    ("about", "called"),
    [
        ({"name": "mitosis 3"}, r" \(mitosis 3\)"),
        ({"classification": {"name": "Tumor"}}, r" \(Tumor\)"),
        ({}, ""),
    ],
)
def test_a_point_among_regions_is_named(tmp_path, about, called) -> None:
    point = feature([1.0, 2.0], kind="Point") | {"properties": about}
    with pytest.raises(SlideError, match=rf"feature 2{called}: .* found Point; remove it"):
        drawn(tmp_path, [feature([box(0, 0, 1600, 1600)]), point])


def test_a_ring_is_closed_and_both_halves_of_an_eight_are_inside(tmp_path) -> None:
    ring = box(0, 0, 1600, 1600)
    np.testing.assert_array_equal(
        drawn(tmp_path, feature([ring[:-1]])), drawn(tmp_path, feature([ring]))
    )
    eight = [[0, 0], [3200, 3200], [3200, 0], [0, 3200], [0, 0]]
    mask = drawn(tmp_path, feature([eight]))
    assert mask[100, 20]
    assert mask[100, 180]
    assert not mask[20, 100]
    assert not mask[180, 100]


def test_a_mark_before_the_text_is_no_content(tmp_path) -> None:
    content = "\ufeff" + json.dumps(feature([box(0, 0, 1600, 1600)]))
    assert drawn(tmp_path, content).sum() == 100**2


@pytest.mark.parametrize("size", [(500, 375), (125, 94), (1000, 750), (8000, 6000)])
def test_a_mask_picture_of_any_size_covers_the_whole_slide(tmp_path, size) -> None:
    width, height = size
    content = np.zeros((height, width), dtype=np.uint8)
    content[: round(height / 3), round(width / 2) :] = 1
    Image.fromarray(content).save(tmp_path / "S1.png")
    mask = UserRegions(folder=str(tmp_path), mpp=4.0).mask(THUMBNAIL, slide_id="S1", info=INFO)
    expected = np.zeros((375, 500), dtype=bool)
    expected[:125, 250:] = True
    assert (mask ^ expected).mean() < 0.01


def test_a_mask_of_another_shape_is_refused(tmp_path) -> None:
    method = UserRegions(folder=str(tmp_path), mpp=4.0)
    Image.fromarray(np.ones((500, 375), dtype=np.uint8)).save(tmp_path / "S1.png")
    with pytest.raises(SlideError, match=r"S1\.png: 375 x 500 is not the shape .*8000 x 6000"):
        method.mask(THUMBNAIL, slide_id="S1", info=INFO)
    Image.fromarray(THUMBNAIL).save(tmp_path / "S1.png")
    with pytest.raises(SlideError, match="one channel"):
        method.mask(THUMBNAIL, slide_id="S1", info=INFO)
    (tmp_path / "S1.png").write_bytes(b"nothing")
    with pytest.raises(SlideError, match="not a picture"):
        method.mask(THUMBNAIL, slide_id="S1", info=INFO)


def test_the_region_is_found_by_slide_and_is_part_of_the_identity(tmp_path) -> None:
    method = UserRegions(folder=str(tmp_path), mpp=4.0)
    with pytest.raises(SlideError, match=r"slide S1: no region .*S1\.geojson or S1\.png"):
        method.source_digest("S1")
    drawn(tmp_path, feature([box(0, 0, 1600, 1600)]))
    before = method.source_digest("S1")
    drawn(tmp_path, feature([box(0, 0, 1600, 1604)]))
    assert method.source_digest("S1") != before
    (tmp_path / "S1.png").touch()
    with pytest.raises(SlideError, match="which one counts"):
        method.source_digest("S1")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    assert UserRegions(folder=str(moved), mpp=4.0).record == method.record


def test_a_folder_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tissue\.folder=nowhere"):
        UserRegions(folder="nowhere")
