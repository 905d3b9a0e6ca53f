"""Clinical covariates end to end: ``histofed train`` and ``federate`` on a small invented study."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from histofed.cli import main
from histofed.core.tiling import TileSpec
from histofed.io.runs import RunFolder, read_json
from histofed.io.store import FeatureStore
from histofed.mil.weights import read_about
from histofed.pipeline.clinical import encoding_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = "clinical.columns=[age,sex,stage]"


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def clinical_rows(toy_study) -> list[dict[str, str]]:
    """The toy study's table with an age that tells, and a sex and a stage that do not."""
    rng = np.random.default_rng(3)
    rows = []
    for number, row in enumerate(toy_study.rows()):
        age = "" if number % 8 == 5 else f"{60 + 12 * int(row['mutated']) + 4 * rng.normal():.1f}"
        sex, stage = rng.choice(["f", "m"]), rng.choice(["I", "II", "NA"])
        rows.append(row | {"age": age, "sex": sex, "stage": stage})
    return rows


@pytest.fixture(scope="module")
def train(toy_study, clinical_rows, tmp_path_factory) -> Callable[..., RunFolder]:
    """Return a training run with changes to the table's rows."""

    def made(*more: str, verb: str = "train", changed: dict[int, dict[str, str]] | None = None):
        folder = tmp_path_factory.mktemp("clinical")
        rows = [row | (changed or {}).get(n, {}) for n, row in enumerate(clinical_rows)]
        table = write_table(folder / "cohort.csv", rows)
        options = toy_study.options(folder / "run", f"cohort={table}", *more)
        assert main([verb, *options]) == 0
        return RunFolder(folder / "run")

    return made


@pytest.fixture(scope="module")
def trained(train) -> RunFolder:
    return train(COLUMNS)


def auroc(run: RunFolder, arm: str, table) -> float:
    rows = table(run.predictions(arm))
    labels = [int(row["label"]) for row in rows]
    return float(roc_auc_score(labels, [float(row["probability"]) for row in rows]))


def test_image_covariates_and_both_are_trained_on_the_same_folds(trained, table):
    assert trained.arms() == ["baseline", "clinical", "fused", "pooled"]
    patients = [
        [(row["patient_id"], row["fold"]) for row in table(trained.predictions(arm))]
        for arm in trained.arms()
    ]
    assert all(each == patients[0] for each in patients)
    assert set(read_json(trained.metrics)["arms"]) == set(trained.arms())
    assert trained.selection("fused").is_file()


def test_the_image_alone_learns_what_it_learns_without_any_covariates(trained, train):
    without = train()
    assert without.arms() == ["baseline", "pooled"]
    for arm in without.arms():
        assert without.predictions(arm).read_bytes() == trained.predictions(arm).read_bytes()
    assert encoding_in(without.fold("pooled", 0) / "model.safetensors") is None


def test_covariates_tell_what_the_image_does_not(train, toy_study, clinical_rows, table):
    """Labels that follow the age, and have nothing to do with the tiles."""
    by_age = {
        number: {"mutated": str(number // 2 % 2), "age": str(50 + 20 * (number // 2 % 2) + number)}
        for number in range(len(clinical_rows))
    }
    run = train(COLUMNS, "trainer.max_epochs=12", changed=by_age)
    assert auroc(run, "clinical", table) > 0.85
    assert auroc(run, "fused", table) > auroc(run, "pooled", table) + 0.15
    assert auroc(run, "pooled", table) < 0.75


def test_tested_patients_change_no_model(trained, train, table, capsys):
    """One patient has another age, and a sex and a stage that nobody else has."""
    strange = {"age": "400", "sex": "other", "stage": ""}
    other = train(COLUMNS, changed={0: strange})
    assert "no patient trained on has sex 'other' (p00)" in " ".join(
        capsys.readouterr().out.split()
    )
    (fold,) = [
        int(row["fold"])
        for row in table(trained.splits)
        if row["patient_id"] == "p00" and row["role"] == "test"
    ]
    model = trained.fold("fused", fold) / "model.safetensors"
    same = other.fold("fused", fold) / "model.safetensors"
    assert model.read_bytes() == same.read_bytes()
    for arm in ("fused", "clinical"):
        before = {row["patient_id"]: row for row in table(trained.predictions(arm))}
        after = {row["patient_id"]: row for row in table(other.predictions(arm))}
        here = [patient for patient, row in before.items() if int(row["fold"]) == fold]
        changed = [
            patient
            for patient in here
            if before[patient]["probability"] != after[patient]["probability"]
        ]
        assert changed == ["p00"]
    # Trained on, that patient does change a model: the comparison above can fail.
    elsewhere = (fold + 2) % 3
    assert (trained.fold("fused", elsewhere) / "model.safetensors").read_bytes() != (
        other.fold("fused", elsewhere) / "model.safetensors"
    ).read_bytes()


def test_the_file_of_a_model_says_how_covariates_become_numbers(trained, clinical_rows, table):
    folder = trained.fold("fused", 1)
    encoding = encoding_in(folder / "model.safetensors")
    roles = [row for row in table(trained.splits) if row["fold"] == "1"]
    training = {row["patient_id"] for row in roles if row["role"] == "train"}
    ages = [float(r["age"]) for r in clinical_rows if r["patient_id"] in training and r["age"]]
    age = encoding.codes[0]
    assert (age.name, age.mean) == ("age", pytest.approx(np.mean(ages)))
    assert age.std == pytest.approx(np.std(ages))
    assert age.missing_share == pytest.approx(1 - len(ages) / len(training))
    assert json.loads(read_about(folder / "model.safetensors")["clinical"]) == encoding.record()


def test_over_hospitals_the_same_sums_make_the_same_encoding(train, trained, table):
    run = train(
        COLUMNS, "clinical.fusion=gated", "federation.rounds=2", "compare=[pooled]", verb="federate"
    )
    assert run.arms() == ["clinical", "federated", "federated-fused", "fused", "pooled"]
    for fold in range(3):
        encodings = [
            encoding_in(which.fold(arm, fold) / "model.safetensors")
            for which, arm in ((run, "federated-fused"), (run, "fused"), (trained, "fused"))
        ]
        assert encodings[0] == encodings[1] == encodings[2]
        assert (run.fold("federated-fused", fold) / "rounds.csv").is_file()
    assert run.predictions("clinical").read_bytes() == trained.predictions("clinical").read_bytes()
    federated, fused = (
        table(run.predictions("federated")),
        table(run.predictions("federated-fused")),
    )
    assert [row["probability"] for row in federated] != [row["probability"] for row in fused]


def test_a_fused_model_is_explained_with_the_options_chosen_for_it(
    toy_study, clinical_rows, tmp_path
):
    """The same features, with positions; no picture is drawn, since there is no slide."""
    store, placed = FeatureStore(toy_study.features), FeatureStore(tmp_path / "features")
    spec = TileSpec(size_px=8, mpp=0.5)
    for row in clinical_rows:
        slide = store.read(row["slide_id"])
        record = replace(
            slide.record,
            recipe=replace(slide.record.recipe, spec=spec),
            slide_digest=row["slide_id"],
            mpp=0.5,
            width_px0=400,
            height_px0=400,
        )
        coords = 8 * np.arange(len(slide.features_ND))[:, None] * np.array([[1, 0]])
        placed.write(replace(slide, record=record, coords_N2=coords))
    table = write_table(tmp_path / "cohort.csv", clinical_rows)
    run = tmp_path / "run"
    chosen = ["choose={aggregator.hidden_dim:[8]}", "trainer.max_epochs=1"]
    options = toy_study.options(run, f"cohort={table}", COLUMNS, *chosen)
    assert main(["train", *options, f"features={placed.folder}"]) == 0
    for arm in ("pooled", "fused"):
        assert read_json(run / arm / "fold-0" / "chosen.json") == {"aggregator.hidden_dim": 8}
    assert main(["explain", f"run={run}", "arm=fused", "pictures=0"]) == 0
    assert len(list((run / "scores").glob("*.h5"))) == len(clinical_rows)


@pytest.fixture(scope="module")
def others(toy_study_of, tmp_path_factory):
    """A patient of another hospital without an age, and one of a sex that nobody had."""
    study = toy_study_of(
        tmp_path_factory.mktemp("far"), sites=("far",), patients=2, prefix="q", seed=11
    )
    said = [{"age": "", "sex": "f", "stage": "II"}, {"age": "75", "sex": "x", "stage": "NA"}]
    rows = [row | more for row, more in zip(study.rows(), said, strict=True)]
    write_table(study.cohort, rows)
    return study


def test_a_fused_model_predicts_other_patients_with_their_covariates(
    trained, others, tmp_path, capsys, table
):
    def predicted(out: str, **changed: str) -> tuple[int, list[str]]:
        rows = [row | changed for row in others.rows()]
        cohort = write_table(tmp_path / f"{out}.csv", rows)
        named = [f"run={trained.path}", f"cohort={cohort}", f"features={others.features}"]
        code = main(["predict", *named, f"out={tmp_path / out}", "arm=fused"])
        found = tmp_path / out / "fused" / "predictions.csv"
        return code, [row["probability"] for row in table(found)] if found.exists() else []

    code, before = predicted("one")
    assert code == 0
    assert "no patient trained on has sex 'x' (q01)" in " ".join(capsys.readouterr().out.split())
    older = predicted("two", age="90")[1]
    assert all(float(one) < float(other) for one, other in zip(before, older, strict=True))
    capsys.readouterr()
    assert predicted("days", age="900")[0] == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "fold 0: age 900.0 (q00, q01) is more than 10 standard deviations" in said
    assert predicted("three", age="old") == (2, [])
    assert "'age' holds words (q00 'old'" in capsys.readouterr().err
    assert not (tmp_path / "three").exists()


@pytest.mark.parametrize(
    ("options", "changed", "words"),
    [
        (["clinical.columns=[age,mutated]"], {}, ["mutated", "answers task mutated"]),
        (["clinical.columns=[site]"], {}, ["site", "no covariate of a patient"]),
        (["clinical.columns=[age,age]"], {}, ["twice"]),
        (["clinical.columns=[weight]"], {}, ["without column weight", "age"]),
        (["clinical.columns=[age]", "clinical.words=[sex]"], {}, ["sex", "clinical.columns"]),
        ([COLUMNS], {3: {"age": "sixty"}}, ["'age'", "p03 'sixty'", "clinical.missing"]),
        ([COLUMNS, "clinical.fusion=added"], {}, ["clinical.fusion", "concat, gated"]),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    toy_study, clinical_rows, tmp_path, capsys, options, changed, words
):
    rows = [row | changed.get(number, {}) for number, row in enumerate(clinical_rows)]
    table = write_table(tmp_path / "cohort.csv", rows)
    given = toy_study.options(tmp_path / "run", f"cohort={table}", *options)
    assert main(["train", *given]) == 2
    message = capsys.readouterr().err
    for word in words:
        assert word in message
    assert not (tmp_path / "run").exists()
