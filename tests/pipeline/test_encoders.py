"""``histofed encoders``: the table, its filters, and the card of one."""

from __future__ import annotations

import re

import pytest

from histofed.cli import main
from histofed.extract.encoders.registry import cards
from histofed.pipeline import build
from histofed.pipeline.config import compose, to_object


def names(arguments: list[str], capsys) -> set[str]:
    assert main(["encoders", *arguments]) == 0
    shown = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert shown[0].split()[:3] == ["name", "dim", "px"]
    return {line.split()[0] for line in shown[1:]}


def test_every_encoder_is_in_the_table_with_its_whole_name(capsys) -> None:
    assert names([], capsys) == set(cards())


@pytest.mark.parametrize(
    ("filters", "keeps"),
    [
        (["commercial=true"], lambda card: card.commercial is True),
        (["commercial=false"], lambda card: card.commercial is False),
        (["gated=false"], lambda card: card.gated is False),
        (["gated=true"], lambda card: card.gated is True),
        (["dim=1024"], lambda card: card.dim == 1024),
        (["licence=apache"], lambda card: "Apache" in (card.licence or "")),
        (["built=false"], lambda card: card.architecture is None),
        (["mpp=2"], lambda card: not card.mpp or 2.0 in card.mpp),
        (["licence=MIT", "commercial=true"], lambda card: card.licence == "MIT"),
    ],
)
def test_filters_keep_what_is_known_to_fit(filters, keeps, capsys) -> None:
    found = names(filters, capsys)
    assert found == {name for name, card in cards().items() if keeps(card)}
    assert 0 < len(found) < len(cards())


def test_filters_that_nothing_fits_are_refused(capsys) -> None:
    assert main(["encoders", "dim=7"]) == 2
    assert "no encoder fits" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["show", "gigapath"], ["name=gigapath"]])
def test_the_card_of_one(arguments, capsys) -> None:
    assert main(["encoders", *arguments]) == 0
    shown = capsys.readouterr().out
    for said in (
        "Prov-GigaPath", "1536: class token", "tiles of 256 px, centre of 224 px", "0.485, 0.456",
        "fp16 on CUDA", "1130 million", "huggingface.co/prov-gigapath/prov-gigapath",
        "vit_giant_patch14_dinov2", "mlp_ratio=5.33334", "Apache-2.0 with conditions",
        "s41586-024-07441-w",
    ):  # fmt: skip
        assert said in shown


@pytest.mark.parametrize(("name", "how"), [("conch_v1", "bicubic"), ("conch_v1_5", "bilinear")])
def test_a_card_says_how_tiles_are_resized(name, how, capsys) -> None:
    assert main(["encoders", "show", name]) == 0
    assert f"resized to 448 px ({how})" in capsys.readouterr().out


@pytest.mark.parametrize("name", cards())
def test_every_card_can_be_shown(name, capsys) -> None:
    assert main(["encoders", "show", name]) == 0
    shown = capsys.readouterr().out
    assert f"encoder={name}\n" in shown
    assert "None" not in shown


def test_an_unknown_one_is_refused_with_the_nearest(capsys) -> None:
    assert main(["encoders", "show", "virchow_2"]) == 2
    assert "Did you mean virchow2" in capsys.readouterr().err
    for names in ([], ["uni", "virchow2"]):
        assert main(["encoders", "show", *names]) == 2
        assert "takes the name of one encoder, as in `histofed enc" in capsys.readouterr().err
    assert main(["encoders", "show", "--help"]) == 0


OF_EACH_KIND = ("uni", "gigapath", "ctranspath", "dinobloom_s", "efficientnet_lite0", "musk")


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_the_command_on_a_card_is_one_that_its_encoder_takes(name, capsys) -> None:
    assert main(["encoders", "show", name]) == 0
    (said,) = re.findall(r"^next: histofed (.*)$", capsys.readouterr().out, re.MULTILINE)
    verb, *options = said.split()
    config = compose(verb, options)
    if verb == "extract":
        cards()[name].check(build.tile_spec(to_object(config).tiling))
        assert (config.encoder.weights == "FILE") == (name in ("dinobloom_s", "ctranspath"))
    else:
        assert (cards()[name].architecture, config.encoder_name) == (None, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("uni", "ask for access on their page, then `hf auth login`; or encoder.weights="),
        ("phikon", "fetched from the hub once; or encoder.weights="),
        ("dinobloom_s", "encoder.weights=FILE, which is DinoBloom-S.pth of Zenodo"),
        ("efficientnet_lite0", "installed with histofed"),
    ],
)
def test_a_card_says_how_the_weights_are_come_by(name, said, capsys) -> None:
    assert main(["encoders", "show", name]) == 0
    assert re.search(rf"^weights +.*{said}", capsys.readouterr().out, re.MULTILINE)
