"""What a card refuses, and what is checked of an embedding, with a slide encoder made up here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from histofed.core.tiling import TileSpec
from histofed.errors import ConfigError, SlideError
from histofed.extract.slide_encoders import MeanOfFeatures, SlideEncoderCard
from histofed.extract.slide_encoders.base import embedding_of
from histofed.io.store import Recipe, Record, SlideFeatures

RECORD = Record(
    recipe=Recipe(spec=TileSpec(size_px=512, mpp=0.5), encoder="conch_v1_5"),
    slide_id="S1",
    slide_digest="d",
    mpp=0.25,
    width_px0=9000,
    height_px0=9000,
)
SLIDE = SlideFeatures(
    record=RECORD,
    features_ND=np.arange(12, dtype=np.float16).reshape(3, 4),
    coords_N2=np.array([[0, 0], [1024, 0], [0, 2048]]),
)


CARD = SlideEncoderCard(
    name="farthest",
    dim=2,
    tile_encoders=("conch_v1_5", "conch_v1"),
    side_um=256,
    needs_positions=True,
)


@dataclass
class Farthest:
    """Where the tile lies that is farthest right, in tiles."""

    card: SlideEncoderCard = CARD
    made: object = None

    @property
    def record(self):
        return {"name": "farthest"}

    def encode(self, features_ND, coords_N2, *, side_px0):
        assert features_ND.dtype == np.float32
        if self.made is not None:
            return np.asarray(self.made, dtype=np.float32)
        return coords_N2[coords_N2[:, 0].argmax()] / side_px0


def with_recipe(**changes) -> SlideFeatures:
    return replace(SLIDE, record=replace(RECORD, recipe=replace(RECORD.recipe, **changes)))


def test_an_encoder_sees_positions_and_the_side_of_a_tile() -> None:
    made = embedding_of(Farthest(), SLIDE)
    np.testing.assert_array_equal(made, [1.0, 0.0])
    assert made.dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoder": "uni"}, r"features of conch_v1_5 or conch_v1, .* of uni;"),
        ({"encoder": ""}, r"an unknown encoder; extract with encoder=conch_v1_5"),
        ({"spec": TileSpec(size_px=224, mpp=0.5)}, r"tiles of 256 um, these are of 112 um"),
        ({"spec": None}, r"without positions; extract them from slides"),
    ],
)
def test_features_it_was_not_trained_on_are_refused_by_name(changes, words) -> None:
    with pytest.raises(ConfigError, match=rf"^slide encoder farthest .*{words}"):
        embedding_of(Farthest(), with_recipe(**changes))


@pytest.mark.parametrize("spec", [TileSpec(size_px=1024, mpp=0.25), TileSpec(size_px=256, mpp=1)])
def test_the_side_counts_not_its_pixels(spec) -> None:
    embedding_of(Farthest(), with_recipe(spec=spec))


@pytest.mark.parametrize("made", [[1.0], [[1.0, 2.0]], [1.0, np.nan], [np.inf, 0.0]])
def test_what_is_no_embedding_is_refused(made) -> None:
    with pytest.raises(SlideError, match=r"slide S1: slide encoder farthest .*correct the encoder"):
        embedding_of(Farthest(made=made), SLIDE)


def test_bags_without_positions_are_enough_where_none_are_needed() -> None:
    record = replace(RECORD, mpp=None, recipe=Recipe(spec=None, encoder="table"))
    bag = replace(SLIDE, record=record, coords_N2=None)
    np.testing.assert_array_equal(embedding_of(MeanOfFeatures(), bag), [4, 5, 6, 7])
    with pytest.raises(ConfigError, match="without positions"):
        SlideEncoderCard(name="x", needs_positions=True).check(record.recipe)
