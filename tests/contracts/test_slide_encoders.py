"""What every slide encoder must do. Walks ``configs/slide_encoder``: new are tested unasked."""

from __future__ import annotations

import json

import numpy as np
import pytest

from histofed.core.tiling import TileSpec
from histofed.extract.slide_encoders.base import embedding_of
from histofed.io.store import Recipe, Record, SlideFeatures
from histofed.pipeline import build
from histofed.pipeline.config import compose, groups

DIM = 16
"""Features of an encoder that does not say which it takes."""


@pytest.fixture(params=groups()["slide_encoder"])
def encoder(request):
    return build.slide_encoder(
        compose("embed", ["features=f", f"slide_encoder={request.param}"]).slide_encoder
    )


def slide_for(encoder, n_tiles: int, *, seed: int = 0) -> SlideFeatures:
    """A slide whose features the encoder takes, tiles in a row."""
    from histofed.extract.encoders import registry

    card, generator = encoder.card, np.random.default_rng(seed)
    takes = card.tile_encoders[0] if card.tile_encoders else ""
    dim = registry.card(takes).dim if takes else DIM
    record = Record(
        recipe=Recipe(spec=TileSpec(size_px=256, mpp=(card.side_um or 128) / 256), encoder=takes),
        slide_id="S1",
        slide_digest="d",
        mpp=0.25,
        width_px0=2**20,
        height_px0=2**20,
    )
    step = round(record.side_px0)
    coords = np.stack([np.arange(n_tiles) % 7 * step, np.arange(n_tiles) // 7 * step], axis=1)
    features = generator.normal(size=(n_tiles, dim)).astype(np.float16)
    return SlideFeatures(record=record, features_ND=features, coords_N2=coords)


def test_card_and_config_have_one_name(encoder, request):
    assert encoder.card.name in groups()["slide_encoder"]
    assert encoder.record["name"] == encoder.card.name
    assert json.loads(json.dumps(encoder.record)) == encoder.record


@pytest.mark.parametrize("n_tiles", [1, 2, 5000])
def test_one_finite_row_whatever_the_number_of_tiles(encoder, n_tiles):
    slide = slide_for(encoder, n_tiles)
    made = embedding_of(encoder, slide)
    assert made.dtype == np.float32
    assert made.shape == (encoder.card.dim or slide.features_ND.shape[1],)
    np.testing.assert_array_equal(embedding_of(encoder, slide), made)


def test_the_order_of_tiles_does_not_matter(encoder):
    slide = slide_for(encoder, 40)
    order = np.random.default_rng(1).permutation(40)
    turned = SlideFeatures(
        record=slide.record,
        features_ND=slide.features_ND[order],
        coords_N2=slide.coords_N2[order],
    )
    np.testing.assert_allclose(
        embedding_of(encoder, turned), embedding_of(encoder, slide), rtol=1e-5, atol=1e-5
    )


def test_the_slide_matters(encoder):
    """Guards the tests above: an encoder that answers a constant would pass them."""
    one, other = (embedding_of(encoder, slide_for(encoder, 9, seed=seed)) for seed in (0, 1))
    assert not np.allclose(one, other)


def test_the_features_are_left_alone(encoder):
    slide = slide_for(encoder, 9)
    before = slide.features_ND.copy()
    embedding_of(encoder, slide)
    np.testing.assert_array_equal(slide.features_ND, before)
