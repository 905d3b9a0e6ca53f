from __future__ import annotations

import pytest

from histofed.cli import main
from histofed.core.tiling import TileSpec
from histofed.errors import CohortError, ConfigError
from histofed.pipeline import build
from histofed.pipeline.config import compose
from histofed.pipeline.several import with_several


def test_each_encoder_has_options_and_a_folder_of_its_own() -> None:
    config = compose("extract", ["encoder=[phikon,uni]", "encoder.uni.weights=w", "work=here"])
    chosen = build.each_encoder(config.encoder)
    assert {name: each.card for name, each in chosen.items()} == {"phikon": "phikon", "uni": "uni"}
    assert (chosen["phikon"].weights, chosen["uni"].weights) == (None, "w")
    assert config.features == "here/features"
    assert compose("extract", ["encoder=[phikon,uni]", "features=there"]).features == "there"


@pytest.mark.parametrize("option", ["encoder=uni", "encoder=[uni]"])
def test_one_encoder_is_what_it_always_was(option) -> None:
    config = compose("extract", [option, "encoder.weights=w"])
    assert list(build.each_encoder(config.encoder)) == ["uni"]
    assert (config.encoder.name, config.encoder.weights) == ("uni", "w")
    assert config.features == "work/features/uni"


@pytest.mark.parametrize(
    ("verb", "options", "words"),
    [
        ("extract", ["encoder=[uni,uni]"], "uni is named twice"),
        ("extract", ["encoder=[]"], "no name is given"),
        ("extract", ["encoder=[uni,virchov2]"], "Did you mean encoder=virchow2"),
        ("extract", ["encoder=[uni,phikon]", "encoder.weights=w"], "Allowed: uni, phikon"),
        (
            "extract",
            ["encoder=[uni,phikon]", "encoder.weights=w"],
            "mean encoder.uni.weights or encoder.phikon.weights?",
        ),
        ("extract", ["encoder=[uni,phikon]", "encoder.uni.wights=w"], "encoder.uni.wights"),
        ("extract", ["encoder=[uni,phikon]", "encoder.uni.weights=3"], "encoder.uni.weights is 3"),
        ("extract", ["encoder=[uni,phikon]", "encoder.uni._target_=os.system"], "os.system"),
        ("train", ["encoder=[uni,phikon]"], "train takes one encoder, as in encoder=uni"),
        ("extract", ["tissue=[otsu,entropy]"], "extract takes one tissue, as in tissue=otsu"),
    ],
)
def test_what_cannot_be_is_refused_by_name(verb, options, words) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(verb, options)
    assert words in str(caught.value)


def test_other_options_are_left_alone() -> None:
    options = ["work=a b", "quality.drop=[pen,blur]", "encoder=uni", "+x.y={a: 1}"]
    assert with_several(options) == options


def test_several_encoders_pass_through_hydras_own_flags(capsys) -> None:
    assert main(["extract", "encoder=[phikon,uni]", "--cfg", "job"]) == 0
    said = capsys.readouterr().out
    assert "  phikon:\n    name: phikon\n" in said
    assert "  uni:\n    name: uni\n" in said


def test_encoders_of_different_tiles_are_refused_before_any_weights_are_read() -> None:
    config = compose("extract", ["encoder=[uni,conch_v1]", "encoder.uni.weights=nowhere"])
    with pytest.raises(ConfigError, match="encoders uni and conch_v1 take different tiles"):
        build.encoders(config.encoder, spec=build.tile_spec(config.tiling))


def test_an_encoder_of_ones_own_is_not_named_out_of_its_folder() -> None:
    config = {"_target_": "histofed.extract.encoders.load.encoder", "name": "../uni", "card": "uni"}
    with pytest.raises(CohortError, match=r"encoder\.name '\.\./uni' .* cannot hold a slash"):
        build.encoders(config, spec=TileSpec())
