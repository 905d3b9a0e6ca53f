from __future__ import annotations

import json
import uuid

import matplotlib
import numpy as np

from histofed.core.types import TileScores
from histofed.io.interop import qupath


def scores() -> TileScores:
    return TileScores(
        slide_id="s",
        coords_N2=np.array([[0, 0], [222, 443], [443, 0]]),
        side_px0=221.61,
        scores={
            "attention": np.array([0.1, 0.7, np.nan], dtype=np.float32),
            "evidence": np.array([-1, 2, 0], dtype=np.float32),
        },
        model_digest="m",
        features_digest="f",
    )


def test_a_tile_lies_where_its_coords_are():
    found = qupath.tiles(
        scores(), np.array([1, 0]), head="attention", percentile=np.array([0.25, 0.75, np.nan])
    )
    ring = found[0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1] == [222, 443]
    assert ring[2] == [222 + 221.61, 443 + 221.61]
    properties = found[0]["properties"]
    assert (properties["objectType"], properties["name"]) == ("tile", "rank 1")
    assert properties["measurements"]["attention_percentile"] == 0.75
    assert properties["measurements"]["evidence_raw"] == 2
    assert found[1]["geometry"]["coordinates"][0][0] == [0, 0]


def test_ids_are_uuids_that_stay_and_nan_is_a_word():
    asked = {"head": "evidence", "percentile": np.array([0.1, 0.9, 0.5])}
    first = qupath.tiles(scores(), np.array([2, 1]), **asked)
    again = qupath.tiles(scores(), np.array([2, 1]), **asked)
    assert [each["id"] for each in first] == [each["id"] for each in again]
    assert len({uuid.UUID(each["id"]) for each in first}) == 2
    assert first[0]["properties"]["measurements"]["attention_raw"] == "NaN"
    json.dumps(qupath.collection(first, scanned_from_px0=(0, 0)), allow_nan=False)


def test_a_region_is_a_closed_annotation():
    found = qupath.annotation([(1, 2), (3, 4), (5.5, 0)], name="n", classification="c", key="k")
    assert found["geometry"]["coordinates"] == [[[1, 2], [3, 4], [5.5, 0], [1, 2]]]
    assert found["properties"]["objectType"] == "annotation"
    assert found["properties"]["classification"] == {"name": "c"}


def test_colour_maps_are_those_named():
    for name in qupath.COLOUR_MAPS:
        rows = [line.split("\t") for line in qupath.colour_map(name).splitlines()]
        expected = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]
        np.testing.assert_allclose(np.array(rows, dtype=float), expected, atol=1e-6)
