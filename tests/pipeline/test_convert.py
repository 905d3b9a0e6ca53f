"""``histofed convert``: a bag table becomes a cohort and features that can be trained on."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from histofed.cli import main
from histofed.io.store import FeatureStore


@pytest.fixture
def bags(tmp_path):
    generator = np.random.default_rng(3)
    lines = []
    for bag in range(1, 17):
        for _ in range(1 + bag % 3):
            values = generator.normal(size=4) + 2 * (bag % 2)
            lines.append(",".join([str(bag % 2), str(bag), *(f"{value:.4f}" for value in values)]))
    source = tmp_path / "toy bags.csv"
    source.write_text("\n".join(lines) + "\n")
    return source


def test_bags_become_a_cohort_and_features(bags, tmp_path, table):
    out = tmp_path / "out"
    assert main(["convert", f"source='{bags}'", f"out={out}", "sites=4"]) == 0
    rows = table(out / "cohort.csv")
    assert len(rows) == 16
    assert list(rows[0]) == ["patient_id", "slide_id", "site", "path", "malignant"]
    per_site = Counter((row["site"], row["malignant"]) for row in rows)
    assert set(per_site.values()) == {2}
    assert len(per_site) == 8
    lines = [line.split(",") for line in bags.read_text().splitlines()]
    store = FeatureStore(out / "features")
    for row in rows:
        bag = row["patient_id"].removeprefix("toy bags-")
        expected = [line for line in lines if line[1] == bag]
        assert {line[0] for line in expected} == {row["malignant"]}
        found = store.read(row["slide_id"])
        values = np.array([line[2:] for line in expected], dtype=np.float16)
        np.testing.assert_array_equal(found.features_ND, values)
        assert found.coords_N2 is None


def test_it_repeats_and_the_seed_deals(bags, tmp_path):
    def cohort(name: str, *more: str) -> bytes:
        out = f"out={tmp_path / name}"
        command = [f"source='{bags}'", out, "sites=4", "overwrite=true", *more]
        assert main(["convert", *command]) == 0
        return (tmp_path / name / "cohort.csv").read_bytes()

    assert cohort("a") == cohort("b")
    assert cohort("a") != cohort("c", "seed=1")


def test_a_table_that_is_there_is_not_replaced_unasked(bags, tmp_path, capsys):
    (tmp_path / "cohort.csv").write_text("made by hand")
    command = ["convert", f"source='{bags}'", f"out={tmp_path}"]
    assert main(command) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert (tmp_path / "cohort.csv").read_text() == "made by hand"
    assert not (tmp_path / "features").exists()
    assert main([*command, "overwrite=true"]) == 0


@pytest.mark.parametrize("name", ["../escaped", "a/b", ".hidden", "x" * 200])
def test_a_bag_cannot_leave_its_folder(tmp_path, capsys, name):
    (tmp_path / "bags.csv").write_text(f"1,{name},0.5\n")
    assert main(["convert", f"source={tmp_path / 'bags.csv'}", f"out={tmp_path / 'out'}"]) == 2
    assert "line 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_name_of_the_column(bags, tmp_path, table):
    assert main(["convert", f"source='{bags}'", f"out={tmp_path / 'o'}", "column=mutated"]) == 0
    rows = table(tmp_path / "o" / "cohort.csv")
    assert {row["site"] for row in rows} == {"site-1"}
    assert {row["mutated"] for row in rows} == {"0", "1"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0,1,2.0\n1,2\n", "line 2"),
        ("0,1,2.0\n7,2,1.0\n", "line 2: the label is '7'"),
        ("0,1,2.0\n1,1,1.0\n", "bag 1 has label 1 here and 0 before"),
        ("0,1,nan\n", "line 1"),
        ("0,1,1e9\n", "rescale"),
        ("0,1,x\n", "features are numbers"),
        ("", "empty"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, capsys, text, words):
    source = tmp_path / "bags.csv"
    source.write_text(text)
    assert main(["convert", f"source={source}", f"out={tmp_path / 'out'}"]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out" / "cohort.csv").exists()


def test_a_missing_table_and_no_hospital(tmp_path, bags, capsys):
    assert main(["convert", "source=nowhere.csv", f"out={tmp_path / 'o'}"]) == 2
    assert "nowhere.csv" in capsys.readouterr().err
    assert main(["convert", f"source='{bags}'", f"out={tmp_path / 'o'}", "sites=0"]) == 2
    assert "sites" in capsys.readouterr().err
