from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histofed.core.tiling import TileSpec
from histofed.errors import ConfigError
from histofed.extract.encoders import EncoderCard, TileEncoder
from histofed.extract.encoders.base import framed, weights_digest

if TYPE_CHECKING:
    from histofed.extract.encoders.cards import Precision

CARD = EncoderCard(
    name="toy",
    dim=3,
    size_px=8,
    mpp=(0.5, 1.0),
    mean=(0.5, 0.25, 0.0),
    std=(0.5, 0.25, 1.0),
    embedding="mean",
    licence="none",
    paper="none",
)


class MeanColour(torch.nn.Module):
    """Returns the mean of every channel, and remembers what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, pixels_B3HW: torch.Tensor) -> torch.Tensor:
        self.seen = pixels_B3HW
        return pixels_B3HW.mean(dim=(2, 3)) * self.weight


def test_pixels_are_normalised_as_the_card_says() -> None:
    encoder = TileEncoder(CARD, MeanColour(), "w")
    tiles = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    tiles[1] = (255, 51, 102)
    features = encoder.encode(tiles)
    assert features.dtype == np.float16
    # (0 - 0.5) / 0.5, (0 - 0.25) / 0.25, (0 - 0) / 1; (1 - 0.5) / 0.5, (0.2 - 0.25) / 0.25, 0.4
    np.testing.assert_allclose(features, [[-1, -1, 0], [1, -0.2, 0.4]], atol=1e-3)


def test_the_module_is_called_in_eval_mode_without_gradients_channels_last() -> None:
    module = MeanColour().train()
    encoder = TileEncoder(CARD, module, "w")
    encoder.encode(np.zeros((2, 8, 8, 3), dtype=np.uint8))
    assert not module.training
    assert not module.weight.requires_grad
    assert module.seen.is_inference()
    assert module.seen.is_contiguous(memory_format=torch.channels_last)


def test_the_tiles_are_left_alone() -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    before = tiles.copy()
    TileEncoder(CARD, MeanColour(), "w").encode(tiles)
    np.testing.assert_array_equal(tiles, before)


def test_tiles_may_be_read_only() -> None:
    tiles = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    tiles.setflags(write=False)
    TileEncoder(CARD, MeanColour(), "w").encode(tiles)


@pytest.mark.parametrize("mpp", [0.5, 0.48, 0.52, 1.0, 0.96])
def test_tiles_near_a_known_resolution_are_taken(mpp) -> None:
    CARD.check(TileSpec(size_px=8, mpp=mpp))


def test_another_size_is_refused_with_both_and_the_fix() -> None:
    with pytest.raises(ConfigError) as refused:
        CARD.check(TileSpec(size_px=9, mpp=0.5))
    for said in ("encoder toy", "8 px", "tiling.size_px is 9", "set tiling.size_px=8"):
        assert said in str(refused.value)


@pytest.mark.parametrize("mpp", [0.25, 0.7, 2.0])
def test_another_resolution_is_refused_with_both_and_the_fix(mpp) -> None:
    with pytest.raises(ConfigError) as refused:
        CARD.check(TileSpec(size_px=8, mpp=mpp))
    for said in ("encoder toy", "0.5, 1 microns", f"tiling.mpp is {mpp:g}", "set tiling.mpp"):
        assert said in str(refused.value)


def test_a_card_that_knows_no_resolution_takes_any() -> None:
    replace(CARD, mpp=()).check(TileSpec(size_px=8, mpp=0.13))


@pytest.mark.parametrize("way", ["bicubic", "bilinear"])
def test_pictures_are_resized_like_pictures_on_disk_then_cut_to_their_centre(way) -> None:
    from torchvision.transforms import v2

    values = np.random.default_rng(0).integers(60, 200, (2, 3, 64, 64), dtype=np.uint8)
    pictures = torch.tensor(values)
    resize = v2.Resize(48, interpolation=v2.InterpolationMode(way), antialias=True)
    published = v2.CenterCrop(33)(resize(pictures))
    ours = framed(pictures.float(), replace(CARD, resize_px=48, interpolation=way, crop_px=33))
    assert ours.shape == (2, 3, 33, 33)
    # The published one rounds to bytes after each direction: a value may be its neighbour.
    assert (ours - published.float()).abs().max() <= 1
    cut = framed(pictures.float(), replace(CARD, crop_px=32))
    assert torch.equal(cut, pictures[:, :, 16:48, 16:48].float())


def test_the_digest_depends_on_what_features_depend_on() -> None:
    def digest(card: EncoderCard, weights: str, precision: Precision = "fp32") -> str:
        return TileEncoder(card, MeanColour(), weights, precision=precision).digest

    assert digest(CARD, "w") == digest(replace(CARD), "w")
    others = [
        digest(CARD, "v"),
        digest(CARD, "w", "bf16"),
        digest(replace(CARD, mean=(0.5, 0.25, 0.1)), "w"),
        digest(replace(CARD, embedding="class token"), "w"),
        digest(replace(CARD, crop_px=6), "w"),
        digest(replace(CARD, arguments={"depth": 3}), "w"),
    ]
    assert len({digest(CARD, "w"), *others}) == 7


def test_a_corrected_licence_leaves_features_usable() -> None:
    """The resolution of the tiles is in their own record; the card only says what is allowed."""
    corrected = replace(CARD, licence="MIT", paper="p", mpp=(0.5,), commercial=True, note="n")
    assert TileEncoder(corrected, MeanColour(), "w").digest == (
        TileEncoder(CARD, MeanColour(), "w").digest
    )


def test_the_weights_digest_depends_on_names_types_shapes_and_values() -> None:
    state = {"a": torch.arange(6.0), "b": torch.ones(2)}
    same = {"b": torch.ones(2), "a": torch.arange(6.0)}
    assert weights_digest(state) == weights_digest(same)
    others = [
        {"a": torch.arange(6.0), "c": torch.ones(2)},
        {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)},
        {"a": torch.arange(6.0), "b": torch.tensor([1.0, torch.finfo().eps])},
        {"a": torch.arange(6.0), "b": torch.ones(2).view(torch.int32)},
        {"a": torch.arange(6.0)},
    ]
    assert len({weights_digest(state), *map(weights_digest, others)}) == 6


def test_a_view_has_the_digest_of_its_values() -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    assert weights_digest({"a": whole.T}) == weights_digest({"a": whole.T.contiguous()})
