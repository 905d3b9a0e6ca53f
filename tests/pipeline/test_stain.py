"""``histofed extract stain=...`` on two small slides: one of two stains, one of a single stain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from histofed.cli import main
from histofed.io.pyramid import write_pyramid
from histofed.io.store import FeatureStore
from histofed.synth.stain import SITES

SIDE_PX, GLASS_PX = 464, 30


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Four tiles each, with glass around; ``blue`` has no eosin."""
    generator = np.random.default_rng(0)
    waves = ndimage.gaussian_filter(generator.normal(size=(SIDE_PX, SIDE_PX)), 3)
    amount = (0.9 + 0.35 * waves / waves.std()).clip(0.2, 2).astype(np.float32)
    cells = np.kron(generator.random((58, 58)) < 0.3, np.ones((8, 8), np.float32))
    nothing = np.zeros_like(amount)
    folder = tmp_path_factory.mktemp("slides")
    stain = SITES[0].stain
    for name, stains in (
        ("both", (amount * cells, amount * (1 - cells))),
        ("blue", (amount, nothing)),
    ):
        both = [np.pad(each, GLASS_PX) for each in stains]
        write_pyramid(folder / f"{name}.svs", stain.through(*both), mpp=0.5)
    return folder


def test_stain_is_part_of_what_the_features_are(slides, tmp_path, table, capsys):
    def extract(*options: str) -> int:
        return main(["extract", f"slides={slides / 'both.svs'}", f"work={tmp_path}", *options])

    assert extract("features=" + str(tmp_path / "plain")) == 0
    assert extract("features=" + str(tmp_path / "macenko"), "stain=macenko") == 0
    plain = FeatureStore(tmp_path / "plain").read("both")
    macenko = FeatureStore(tmp_path / "macenko").read("both")
    assert plain.record.recipe.stain == {}
    assert macenko.record.recipe.stain["method"] == "macenko"
    assert plain.record.digest != macenko.record.digest
    assert (tmp_path / "macenko" / "both.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    assert not (tmp_path / "plain" / "both.jpg").exists()
    assert not np.allclose(plain.features_ND, macenko.features_ND, atol=0.05)
    # The same folder does not take both.
    assert extract("features=" + str(tmp_path / "plain"), "stain=reinhard") == 3
    [row] = table(tmp_path / "plain" / "slides.csv")
    assert row["reason"].startswith("StoreError: ")
    assert FeatureStore(tmp_path / "plain").read("both").record == plain.record
    # Unless it is asked to; no picture of another stain is left then.
    assert extract("features=" + str(tmp_path / "macenko"), "overwrite=true") == 0
    assert FeatureStore(tmp_path / "macenko").read("both").record == plain.record
    assert not (tmp_path / "macenko" / "both.jpg").exists()


def test_a_slide_of_one_stain_is_named_and_the_other_is_done(slides, tmp_path, table, capsys):
    command = ["extract", f"slides={slides}", f"work={tmp_path}", "stain=macenko"]
    assert main(command) == 3
    written = table(tmp_path / "features/efficientnet_lite0/slides.csv")
    rows = {row["slide_id"]: row for row in written}
    assert {name: row["status"] for name, row in rows.items()} == {"both": "done", "blue": "failed"}
    assert rows["blue"]["reason"].startswith("StainUnclear: slide blue: ")
    assert "stain=none" in rows["blue"]["reason"]
    assert "StainUnclear" in capsys.readouterr().out


def test_a_reference_that_is_missing_is_refused_before_any_work(slides, tmp_path, capsys):
    command = ["extract", f"slides={slides}", f"work={tmp_path}", "stain=macenko"]
    assert main([*command, "stain.reference=nowhere.png"]) == 2
    assert "nowhere.png" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.h5"))
