"""``histofed encoders``: the table, its filters, and the card of one."""

from __future__ import annotations

import pytest

from histofed.cli import main
from histofed.extract.encoders.registry import cards


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
    assert main(["encoders", "show"]) == 2
    assert main(["encoders", "show", "--help"]) == 0
