"""What every tissue method must keep, whatever it does. Walks ``configs/tissue``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from histofed.core.types import SlideInfo
from histofed.extract.tissue.base import check_mask
from histofed.pipeline import build
from histofed.pipeline.config import compose, groups

SIDE_UM = 1600.0
INFO = SlideInfo(mpp=0.5, level_sizes_px=((3200, 3200),), vendor="test")
REGION = {"type": "Polygon", "coordinates": [[[800, 800], [2400, 800], [2400, 2400], [800, 2400]]]}


@pytest.fixture(params=groups()["tissue"])
def method(request, tmp_path):
    (tmp_path / "S1.geojson").write_text(json.dumps(REGION), encoding="utf-8")
    options = [f"tissue.folder={tmp_path}"] if request.param == "regions" else []
    return build.tissue(compose("tile", [f"tissue={request.param}", *options]).tissue)


def tissue_picture(mpp: float) -> tuple[np.ndarray, np.ndarray]:
    """A square of 800 um of tissue on glass: grainy, violet to pink, half of it dark cells."""
    side = round(SIDE_UM / mpp)
    generator = np.random.default_rng(0)
    picture = np.array([242, 242, 242]) + generator.normal(0, 1.5, (side, side, 3))
    inside = slice(side // 4, 3 * side // 4)
    cells = generator.random((side, side)) < 0.5
    stain = np.where(cells[..., None], (110, 70, 150), (216, 140, 180))
    stain = stain + generator.normal(0, 12, (side, side, 1))
    picture[inside, inside] = stain[inside, inside]
    where = np.zeros((side, side), dtype=bool)
    where[inside, inside] = True
    return picture.clip(0, 255).astype(np.uint8), where


def test_tissue_is_found_and_glass_is_not(method):
    picture, where = tissue_picture(method.mpp)
    before = picture.copy()
    mask = method.mask(picture, slide_id="S1", info=INFO)
    check_mask(mask, picture, method=type(method).__name__, slide_id="S1")
    assert mask[where].mean() > 0.85  # a method may keep a cell or two from the border
    assert mask[~where].mean() < 0.1
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(method.mask(picture, slide_id="S1", info=INFO), mask)


def test_the_record_names_the_method_and_can_be_stored(method):
    record = method.record
    assert record["method"]
    assert record["mpp"] == method.mpp
    assert json.loads(json.dumps(record)) == record
    assert isinstance(method.source_digest("S1"), str)


def test_no_two_choices_have_one_record(tmp_path):
    records = set()
    for name in groups()["tissue"]:
        options = [f"tissue.folder={tmp_path}"] if name == "regions" else []
        config = compose("tile", [f"tissue={name}", *options]).tissue
        records.add(json.dumps(build.tissue(config).record))
    assert len(records) == len(groups()["tissue"])
