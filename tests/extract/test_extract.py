from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histofed.core.tiling import TileSpec
from histofed.errors import ConfigError, SlideUnreadable
from histofed.extract.encoders.google import efficientnet_lite0
from histofed.extract.encoders.registry import card
from histofed.extract.extract import check_one_grid, encode_slide, feature_recipe
from histofed.extract.feed import EncoderFeed
from histofed.extract.reading import read_batches
from histofed.extract.tiles import tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.readers import open_slide, slide_digest
from histofed.io.store import FeatureStore, Record, SlideFeatures

SPEC, TISSUE = TileSpec(), OtsuSaturation()


@pytest.fixture(scope="module")
def encoder():
    return efficientnet_lite0()


@pytest.fixture(scope="module")
def slide(test_data):
    with open_slide(test_data / "slides/CMU-1-Small-Region.svs") as reader:
        yield reader


@pytest.fixture(scope="module")
def six_tiles(slide):
    tiles, _, _ = tile_slide(slide, "cmu", slide_digest="x", spec=SPEC, tissue=TISSUE)
    some = slice(None, 42, 7)
    return replace(tiles, coords_N2=tiles.coords_N2[some], tissue_N=tiles.tissue_N[some])


@pytest.fixture(scope="module")
def record(slide, encoder, test_data):
    digest = slide_digest(test_data / "slides/CMU-1-Small-Region.svs")
    return Record.of(feature_recipe(SPEC, TISSUE, encoder), "cmu", digest, slide.info)


def encoded(slide, tiles, encoder, *, batch_size):
    """Return the features of the tiles; the slide is the only one."""
    with EncoderFeed({"lite0": encoder}, batch_size=batch_size) as feed:
        steps = encode_slide(slide, tiles, feed, names=["lite0"])
        try:
            while True:
                next(steps)
        except StopIteration as end:
            awaited = end.value
    return awaited.features.result()["lite0"]


@pytest.fixture(scope="module")
def found(slide, six_tiles, encoder):
    return encoded(slide, six_tiles, encoder, batch_size=4)


def test_features_are_finite_and_in_the_order_of_the_tiles(
    slide, six_tiles, encoder, found
) -> None:
    assert found.shape == (6, 1280)
    assert np.isfinite(found).all()
    for number in (0, 5):  # the first and the last, in different batches
        ((_, tile),) = read_batches(slide, SPEC, six_tiles.coords_N2[[number]], batch_size=1)
        alone = encoder.encode(tile)[0]
        np.testing.assert_allclose(
            found[number].astype(float), alone.astype(float), atol=2e-3, rtol=2e-3
        )
    assert len(np.unique(found, axis=0)) == 6


def test_a_second_extraction_is_identical_and_comes_back_from_disk(
    slide, six_tiles, record, encoder, found, tmp_path
) -> None:
    second = encoded(slide, six_tiles, encoder, batch_size=4)
    np.testing.assert_array_equal(found, second)
    store = FeatureStore(tmp_path)
    store.write(SlideFeatures(record=record, features_ND=found, coords_N2=six_tiles.coords_N2))
    np.testing.assert_array_equal(store.read("cmu").features_ND, second)
    assert store.digest("cmu") == record.digest


def test_the_recipe_remembers_tiles_tissue_and_encoder(encoder) -> None:
    recipe = feature_recipe(SPEC, TISSUE, encoder)
    assert (recipe.spec, recipe.tissue) == (SPEC, TISSUE.record)
    assert (recipe.encoder, recipe.encoder_digest) == ("efficientnet_lite0", encoder.digest)
    assert recipe.weights_digest == encoder.weights_digest
    assert len(recipe.weights_digest) == 64


@pytest.mark.parametrize("spec", [TileSpec(size_px=256), TileSpec(mpp=0.25)])
def test_tiles_the_encoder_was_not_trained_for_are_refused(encoder, spec) -> None:
    with pytest.raises(ConfigError, match="encoder efficientnet_lite0"):
        feature_recipe(spec, TISSUE, encoder)


def test_a_slide_that_cannot_be_read_stops_the_extraction(
    slide, six_tiles, encoder, monkeypatch
) -> None:
    real = slide.read_many

    def fails_later(*args: object, **options: object):
        batches = real(*args, **options)
        yield next(batches)
        raise SlideUnreadable("damaged")

    monkeypatch.setattr(slide, "read_many", fails_later)
    with pytest.raises(SlideUnreadable, match="damaged"):
        encoded(slide, six_tiles, encoder, batch_size=2)


def test_encoders_of_different_tiles_are_refused_by_name() -> None:
    check_one_grid([card(name) for name in ("uni", "phikon", "resnet50")])
    with pytest.raises(ConfigError, match=r"uni and conch_v1 .* 224 px and of 512 px; .* two comm"):
        check_one_grid([card("uni"), card("conch_v1")])
    coarse = replace(card("phikon"), name="coarse", mpp=(2.0,))
    with pytest.raises(ConfigError, match=r"uni and coarse .* 0\.5 and of 2 microns per pixel"):
        check_one_grid([card("uni"), coarse])
    anywhere = replace(card("phikon"), mpp=())
    check_one_grid([anywhere, coarse])
