"""What every stain method must keep, whatever it does. Walks ``configs/stain``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from histofed.core.tiling import TileSpec
from histofed.extract.tiles import tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide
from histofed.io.store import Recipe
from histofed.pipeline import build
from histofed.pipeline.config import compose, groups
from histofed.synth.stain import SITES


@pytest.fixture(params=groups()["stain"])
def method(request):
    return build.stain(compose("extract", [f"stain={request.param}"]).stain)


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """A slide of cells, fibres and both, in squares of 16 pixels, and its tiles."""
    generator = np.random.default_rng(0)
    amounts = generator.uniform(0.4, 1.8, (2, 24, 40)) * generator.integers(0, 2, (2, 24, 40))
    haematoxylin, eosin = np.kron(amounts, np.ones((16, 16))).astype(np.float32)
    path = tmp_path_factory.mktemp("slide") / "S1.svs"
    write_pyramid(path, SITES[0].stain.through(haematoxylin, eosin), mpp=0.5)
    with open_slide(path) as reader:
        spec, tissue = TileSpec(size_px=64), OtsuSaturation(min_area_um2=0)
        yield reader, tile_slide(reader, "S1", slide_digest="", spec=spec, tissue=tissue)[0]


def test_tiles_keep_their_shape_and_do_not_know_one_another(method, slide):
    reader, tiles = slide
    transform = method.fit(reader, tiles)
    some = np.random.default_rng(1).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    before = some.copy()
    after = transform(some)
    assert (after.dtype, after.shape) == (np.uint8, some.shape)
    np.testing.assert_array_equal(some, before)
    for number in range(5):
        np.testing.assert_array_equal(transform(some[number : number + 1])[0], after[number])
    assert transform(some[:0]).shape == (0, 64, 64, 3)
    some.flags.writeable = False  # as a reader may hand it over
    np.testing.assert_array_equal(transform(some), after)


def test_what_is_learned_follows_from_the_slide(method, slide):
    reader, tiles = slide
    some = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    one, other = method.fit(reader, tiles), method.fit(reader, tiles)
    np.testing.assert_array_equal(one(some), other(some))


def test_glass_stays_light_and_tissue_does_not_vanish(method, slide):
    reader, tiles = slide
    transform = method.fit(reader, tiles)
    glass = np.full((1, 64, 64, 3), 240, np.uint8)
    assert transform(glass).min() >= 235
    tissue = SITES[0].stain.through(*np.ones((2, 64, 64), np.float32))[None]
    assert transform(tissue).mean() < 200


def test_the_record_can_be_stored(method):
    assert json.loads(json.dumps(method.record)) == method.record


def test_no_two_choices_have_one_record_and_none_is_as_before():
    records = {
        name: build.stain(compose("extract", [f"stain={name}"]).stain).record
        for name in groups()["stain"]
    }
    assert len({json.dumps(record) for record in records.values()}) == len(records)
    assert records["none"] == {}
    assert build.stain(compose("extract", []).stain).record == {}  # off by default
    digests = {Recipe(spec=None, stain=record).digest for record in records.values()}
    assert len(digests) == len(records)
