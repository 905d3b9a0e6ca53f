"""The cards: consistent, complete, and true to the architectures that they name."""

from __future__ import annotations

import re

import pytest
import torch
from omegaconf import OmegaConf

from histofed.core.tiling import TileSpec
from histofed.errors import ConfigError
from histofed.extract.encoders.build import RULES, build
from histofed.extract.encoders.cards import EncoderCard
from histofed.extract.encoders.layouts import LAYOUTS
from histofed.extract.encoders.registry import card, cards
from histofed.pipeline.config import config_dir

CARDS = cards()
BUILT = [
    name
    for name, each in CARDS.items()
    if each.architecture is not None and each.name != "efficientnet_lite0"
]
FIRST_OF_ITS_STRUCTURE = {
    (each.architecture, str(each.arguments)): name for name, each in reversed(CARDS.items())
}.values()
LAB_ONLY = {
    "musk", "genbio_pathfm", "rudolfv2", "rudolfv2_b", "rudolfv2_s",
    "sp22m", "sp85m",
}  # fmt: skip

TRAPS = [
    # name, dim, side of tile, side of input, first mean, precision, commercial use
    ("resnet50", 1024, 224, 224, 0.485, "fp32", True),
    ("ctranspath", 768, 224, 224, 0.485, "fp32", False),
    ("phikon", 768, 224, 224, 0.485, "fp32", False),
    ("uni", 1024, 224, 224, 0.485, "fp16", False),
    ("uni2_h", 1536, 224, 224, 0.485, "bf16", False),
    ("conch_v1", 512, 512, 448, 0.48145466, "fp32", False),
    ("conch_v1_5", 768, 512, 448, 0.485, "fp16", False),
    ("virchow", 2560, 224, 224, 0.485, "fp16", True),
    ("virchow2", 2560, 224, 224, 0.485, "fp16", False),
    ("h_optimus_0", 1536, 224, 224, 0.707223, "fp16", True),
    ("h_optimus_1", 1536, 224, 224, 0.707223, "fp16", False),
    ("h0_mini", 1536, 224, 224, 0.707223, "fp16", False),
    ("gigapath", 1536, 256, 224, 0.485, "fp16", False),
    ("gigapath_flash", 384, 256, 224, 0.485, "fp16", False),
    ("hibou_l", 1024, 224, 224, 0.7068, "fp16", True),
    ("kaiko_vitl14", 1024, 224, 224, 0.5, "fp32", False),
    ("midnight_12k", 3072, 224, 224, 0.5, "fp16", True),
    ("lunit_vits8", 384, 224, 224, 0.70322989, "fp32", False),
    ("plip", 512, 224, 224, 0.48145466, "fp32", False),
    ("musk", 1024, 384, 384, 0.5, "fp16", False),
    ("keep", 768, 224, 224, 0.485, "fp16", True),
    ("genbio_pathfm", 4608, 224, 224, 0.697, "bf16", False),
    ("phaet", 1024, 224, 224, 0.485, "fp32", False),
    ("mascaret", 1536, 224, 224, 0.5, "fp32", False),
]


@pytest.mark.parametrize(("name", "dim", "tile", "side", "red", "precision", "commercial"), TRAPS)
def test_what_is_often_got_wrong(name, dim, tile, side, red, precision, commercial) -> None:
    found = CARDS[name]
    assert (found.dim, found.size_px, found.input_px) == (dim, tile, side)
    assert (found.mean[0], found.precision, found.commercial) == (red, precision, commercial)


@pytest.mark.parametrize("name", CARDS)
def test_every_card_is_complete(name) -> None:
    found = CARDS[name]
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert found.title
    assert all(0 < value < 1 for value in (*found.mean, *found.std))
    assert found.mpp or "not for H&E" in found.note  # only those leave the resolution open
    assert found.trained_mpp is None or set(found.trained_mpp) <= set(found.mpp)
    assert found.hub or found.source
    assert found.parameters_m
    assert found.commercial is not True or found.licence
    assert found.layout in (*LAYOUTS, "published order")
    assert (found.architecture is None) == (name in LAB_ONLY)
    if found.architecture:
        assert found.embedding in RULES


def test_no_two_cards_are_one_model() -> None:
    places = [(each.hub or each.source, each.file) for each in CARDS.values()]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", CARDS)
def test_every_card_has_a_config(name) -> None:
    path = config_dir() / "encoder" / f"{name}.yaml"
    config, found = OmegaConf.load(path), CARDS[name]
    assert config.name == name
    assert config.get("card", name) == name
    if name != "efficientnet_lite0":
        comment = path.read_text("utf-8").split("name:")[0]
        assert f"{found.dim} features from tiles of {found.size_px} px" in comment
        assert ("no commercial use" in comment) == (found.commercial is False)
        assert ("commercial use allowed" in comment) == (found.commercial is True)
        assert ("Not built here" in comment) == (found.architecture is None)
        assert ("not gated" in comment) == (found.gated is False)


def test_every_config_has_a_card() -> None:
    assert {path.stem for path in (config_dir() / "encoder").glob("*.yaml")} == set(CARDS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in FIRST_OF_ITS_STRUCTURE))
        for name in BUILT
    ],
)
def test_the_full_model_has_the_published_size_and_the_dimension_of_its_card(name) -> None:
    """On the meta device: shapes without values, so that a billion parameters cost nothing."""
    found = CARDS[name]
    place = "cpu" if found.layout == "ctranspath" else "meta"
    model = build(found, device=place).eval()
    n_parameters_m = sum(each.numel() for each in model.parameters()) / 1e6
    assert n_parameters_m == pytest.approx(found.parameters_m, rel=0.02)
    pictures = torch.zeros(2, 3, found.input_px, found.input_px, device=place)
    with torch.inference_mode():
        assert model(pictures).shape == (2, found.dim)


@pytest.mark.parametrize("name", sorted(LAB_ONLY))
def test_what_is_not_built_here_says_what_to_do(name) -> None:
    with pytest.raises(ConfigError) as refused:
        build(CARDS[name])
    for said in (name, CARDS[name].hub, "histofed convert", "histofed encoders"):
        assert said in str(refused.value)


@pytest.mark.parametrize("name", CARDS)
def test_tiles_of_the_card_are_taken_and_others_refused(name) -> None:
    found = CARDS[name]
    for mpp in found.mpp or (0.1, 0.5):
        found.check(TileSpec(size_px=found.size_px, mpp=mpp))
    with pytest.raises(ConfigError, match=rf"{name} takes tiles of {found.size_px} px.*set tiling"):
        found.check(TileSpec(size_px=found.size_px + 16, mpp=0.5))
    if found.mpp:
        with pytest.raises(ConfigError, match=rf"{name} is meant for .*set tiling\.mpp"):
            found.check(TileSpec(size_px=found.size_px, mpp=4.0))


@pytest.mark.parametrize(
    ("written", "near"),
    [("uni2h", "uni2_h"), ("H-optimus-0", "h_optimus_0"), ("virchow-2", "virchow2"),
     ("phikonv2", "phikon_v2"), ("conch_v1.5", "conch_v1_5")],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest(written, near) -> None:
    with pytest.raises(ConfigError) as refused:
        card(written)
    assert f"encoder {written!r} is not known" in str(refused.value)
    assert near in str(refused.value).partition("Did you mean")[2]
    with pytest.raises(ConfigError, match="`histofed encoders` lists"):
        card("xyzzy")


def test_cards_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        CARDS["uni"].dim = 3  # type: ignore[misc]
    assert all(isinstance(each, EncoderCard) for each in CARDS.values())
