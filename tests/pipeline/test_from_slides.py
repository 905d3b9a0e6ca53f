"""From slides to the review page: the verbs one after the other on a few small slides."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from histofed.cli import main
from histofed.errors import ConfigError, ReviewError, StoreError
from histofed.io.pyramid import write_pyramid
from histofed.io.runs import RunFolder, read_json, write_json
from histofed.io.store import FeatureStore, ScoreStore
from histofed.pipeline.review import review_data
from histofed.review.access import reviewer_of_token
from histofed.review.store import ReviewStore

N_PATIENTS = 12


def picture(label: int, seed: int) -> np.ndarray:
    """Return tissue all over; where the label is 1 it has dark dots."""
    generator = np.random.default_rng(seed)
    image = np.full((232, 460, 3), (200, 120, 180)) + generator.integers(-20, 20, (232, 460, 1))
    if label:
        image[::8, ::8] = (60, 20, 90)
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """A federated run of 12 patients; the first has two slides."""
    folder = tmp_path_factory.mktemp("study")
    rows = ["patient_id,slide_id,site,path,mutated"]
    for number in range(N_PATIENTS):
        label, site = number // 2 % 2, ("north", "south")[number % 2]
        for slide in range(2 if number == 0 else 1):
            name = f"p{number:02}-{slide}"
            image = picture(label, seed=10 * number + slide)
            write_pyramid(folder / "slides" / f"{name}.svs", image, mpp=0.5)
            rows.append(f"p{number:02},{name},{site},slides/{name}.svs,{label}")
    cohort, work = folder / "cohort.csv", folder / "work"
    cohort.write_text("\n".join(rows) + "\n", encoding="utf-8")
    slides = [f"cohort={cohort}", f"work={work}"]
    fast = [
        "splits.n_folds=3",
        "federation.rounds=2",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        "compare=[baseline]",
    ]
    assert main(["extract", *slides]) == 0
    assert main(["federate", *slides, f"run={folder / 'run'}", *fast]) == 0
    assert main(["explain", f"run={folder / 'run'}", "pictures=3"]) == 0
    return RunFolder(folder / "run")


def test_every_slide_is_scored(run, table):
    scores = ScoreStore(run.scores)
    features = FeatureStore(Path(run.read()["config"]["features"]))
    assert len(scores.slide_ids()) == N_PATIENTS + 1
    of_patient: dict[str, float] = {}
    for slide in scores.slide_ids():
        found, source = scores.read(slide), features.read(slide)
        np.testing.assert_array_equal(found.coords_N2, source.coords_N2)
        assert found.features_digest == source.record.digest
        assert set(found.scores) == {"attention", "tile_logit"}
        patient = slide.partition("-")[0]
        of_patient[patient] = of_patient.get(patient, 0) + found.scores["attention"].sum()
    assert list(of_patient.values()) == pytest.approx([1.0] * N_PATIENTS, abs=1e-5)


def test_scores_come_from_the_fold_that_held_the_patient_out(run, table):
    import hashlib

    for row in table(run.predictions("federated")):
        weights = run.fold("federated", int(row["fold"])) / "model.safetensors"
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        assert ScoreStore(run.scores).read(f"{row['patient_id']}-0").model_digest == digest


def test_heatmaps_are_in_the_folder_and_the_report(run, table):
    pictures = sorted(run.heatmaps.glob("*.png"))
    assert len(pictures) == 3
    surest = max(table(run.predictions("federated")), key=lambda row: float(row["probability"]))
    assert run.heatmaps / f"{surest['patient_id']}-0.png" in pictures
    assert pictures[0].stem in run.report.read_text(encoding="utf-8")


def test_evaluating_again_changes_no_number(run):
    before = read_json(run.metrics)
    assert main(["evaluate", f"run={run.path}"]) == 0
    assert read_json(run.metrics) == before
    assert main(["evaluate", f"run={run.path}", "seed=1"]) == 0
    after = read_json(run.metrics)["arms"]["federated"]["auroc"]
    assert after["value"] == before["arms"]["federated"]["auroc"]["value"]
    assert main(["evaluate", f"run={run.path}"]) == 0


def test_the_page_shows_what_the_run_says(run, table):
    data = review_data(run, "federated")
    rows = {row["patient_id"]: row for row in table(run.predictions("federated"))}
    assert [case.patient_id for case in data.cases] == list(rows)
    assert data.cases[0].slide_ids == ("p00-0", "p00-1")
    for case in data.cases:
        row = rows[case.patient_id]
        assert case.label == ("wild type", "mutated")[int(row["label"])]
        assert case.outputs == (float(row["probability"]),)
        low, high = case.intervals["probability"]
        assert 0 <= low <= high <= 1
        assert case.unusual == (pytest.approx(float(row["ood"]) / 100) if row["ood"] else None)
        assert case.discordant == ((case.outputs[0] > 0.5) != (row["label"] == "1"))
        assert all(data.slides[slide].path.is_file() for slide in case.slide_ids)
    assert data.question.startswith("Does the synthetic tumour carry the planted mutation")
    assert (data.kind, data.positive, data.arm) == ("binary", "mutated", "federated")
    assert data.models == run.model_digests("federated")


def test_sets_that_rule_nothing_out_for_anybody_of_a_fold_are_not_shown(run, tmp_path, table):
    """Else the page says of every patient, at 100% too, that the model cannot decide."""
    file = run.predictions("federated")
    whole = file.read_text(encoding="utf-8")
    rows = table(file)
    names = list(rows[0])
    first = rows[0]["fold"]
    for row in rows:
        row["set"] = "0|1"
    rows[0]["set"] = "1"
    lines = [names, *([row[name] for name in names] for row in rows)]
    file.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    try:
        shown = {case.patient_id: case.possible for case in review_data(run, "federated").cases}
    finally:
        file.write_text(whole, encoding="utf-8")
    assert shown[rows[0]["patient_id"]] == ("mutated",)
    for row in rows[1:]:
        expected = ("wild type", "mutated") if row["fold"] == first else None
        assert shown[row["patient_id"]] == expected
    assert {row["fold"] for row in rows} > {first}


def test_a_run_of_other_options_names_the_option_and_the_version(run, tmp_path):
    content = read_json(run.path / "run.json")
    del content["config"]["federation"]["update_dtype"]
    write_json(tmp_path / "run.json", content)
    (tmp_path / "federated").symlink_to(run.path / "federated")
    with pytest.raises(
        StoreError, match=r"not those of histofed .*update_dtype.*version that made"
    ):
        review_data(RunFolder(tmp_path), "federated")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_invited_reviewer_is_let_in_by_the_next_command(run, capsys, tmp_path, elsewhere):
    file = tmp_path / "own.sqlite"
    own = [f"reviews={file}"] if elsewhere else []
    assert main(["review", "invite", f"run={run.path}", "reviewer=Ada", *own]) == 0
    said = capsys.readouterr().out
    words = ["histofed", "review", f"run={run.path}", "access=token", *own]
    assert " ".join(words) in " ".join(said.split())
    token = re.search(r"token\s+(\S{43})", said)
    store = ReviewStore(file if elsewhere else run.path / "reviews.sqlite")
    assert token is not None
    assert reviewer_of_token(store, token[1]) == "Ada"


def test_what_is_not_there_is_refused(run, capsys, tmp_path):
    with pytest.raises(ConfigError, match="no arm 'pooled'; its arms are baseline, federated"):
        review_data(run, "pooled")
    here = f"run={run.path}"
    assert main(["explain", here, "head=liver"]) == 2
    assert "attention, evidence, or the name of a score" in capsys.readouterr().err


def test_the_page_does_not_show_scores_of_another_arm(run):
    """The scores are of the federated models; the baseline's probabilities are not theirs."""
    with pytest.raises((ConfigError, ReviewError)):
        review_data(run, "baseline")


def test_an_arm_without_models_is_refused(run, capsys):
    before = {file: file.read_bytes() for file in run.scores.iterdir()}
    assert main(["explain", f"run={run.path}", "arm=baseline"]) == 2
    assert "baseline" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in run.scores.iterdir()} == before


def test_new_patients_are_predicted_explained_and_shown(run, tmp_path):
    """Slides of nobody trained on, without labels: predictions, heatmaps and the page."""
    rows = ["patient_id,slide_id,site,path"]
    for number in range(2):
        name = f"new-{number}"
        write_pyramid(tmp_path / f"{name}.svs", picture(number, seed=900 + number), mpp=0.5)
        rows.append(f"{name},{name},elsewhere,{name}.svs")
    cohort, work, out = tmp_path / "cohort.csv", tmp_path / "work", tmp_path / "run"
    cohort.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert main(["extract", f"cohort={cohort}", f"work={work}"]) == 0
    features = f"features={work / 'features' / 'efficientnet_lite0'}"
    new = [f"run={run.path}", f"cohort={cohort}", features, f"out={out}"]
    assert main(["predict", *new]) == 0
    assert main(["explain", f"run={out}", "pictures=2"]) == 0
    assert len(list((out / "heatmaps").glob("new-*.png"))) == 2
    shown = review_data(RunFolder(out), None)
    assert [case.patient_id for case in shown.cases] == ["new-0", "new-1"]
    assert {case.label for case in shown.cases} == {None}
