"""Nobody tested in a fold has a part in that fold's model: watched, and tried by changing them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histofed.cli import main
from histofed.io.store import FeatureStore, SlideFeatures
from histofed.mil.data import BagDataModule
from histofed.mil.module import MILModule
from histofed.pipeline import fit, study, sums

if TYPE_CHECKING:
    from pathlib import Path

N_FOLDS = 3


@pytest.fixture
def watched(monkeypatch):
    """Record, for each model made, whom it was standardised with, trained and selected on."""
    seen: dict[str, list[set[str]]] = defaultdict(list)
    real_total, real_losses, real_answers = sums.total, MILModule.losses, MILModule.answers
    names: dict[int, str] = {}
    made: list[set[str]] = []
    real_open = study.open_study

    def open_study(config):
        found = real_open(config)
        names.update({id(moments): patient for patient, moments in found.moments.items()})
        return found

    def total(moments):
        parts = list(moments)
        made.append({names[id(part)] for part in parts})
        return real_total(parts)

    def losses(module, batch):
        seen["train"].append(set(batch.ids))
        return real_losses(module, batch)

    def answers(module, batch):
        seen["select"].append(set(batch.ids))
        return real_answers(module, batch)

    for verb in ("train", "federate"):
        monkeypatch.setattr(f"histofed.pipeline.{verb}.open_study", open_study)
    monkeypatch.setattr(sums, "total", total)
    monkeypatch.setattr(MILModule, "losses", losses)
    monkeypatch.setattr(MILModule, "answers", answers)
    return seen, made


def roles(fold_of: dict[str, int], fold: int) -> tuple[set[str], set[str], set[str]]:
    """Return who trains, selects and is tested, written again from the rule."""
    test = {patient for patient, of in fold_of.items() if of == fold}
    select = {patient for patient, of in fold_of.items() if of == (fold + 1) % N_FOLDS}
    return fold_of.keys() - test - select, select, test


@pytest.mark.parametrize("verb", ["train", "federate"])
def test_tested_patients_are_in_no_loss_and_no_sum(verb, watched, toy_study, tmp_path, table):
    seen, made = watched
    more = ["federation.rounds=1", "compare=[local,pooled]"] if verb == "federate" else []
    options = toy_study.options(tmp_path / "run", "trainer.max_epochs=1", *more)
    assert main([verb, *options]) == 0
    rows = table(tmp_path / "run" / "splits.csv")
    fold_of = {row["patient_id"]: int(row["fold"]) for row in rows if row["role"] == "test"}
    parts = [roles(fold_of, fold) for fold in range(N_FOLDS)]
    assert seen["train"]
    assert seen["select"]
    assert made
    for standardised in made:
        assert any(standardised <= train for train, _, _ in parts)
    for fold, (train, select, test) in enumerate(parts):
        written = {row["patient_id"]: row["role"] for row in rows if row["fold"] == str(fold)}
        assert {p for p, role in written.items() if role == "train"} == train
        assert {p for p, role in written.items() if role == "select"} == select
        assert train
        assert select
        assert test
        assert not (train & select)
        assert not (train & test)
        assert not (select & test)
        assert train | select | test == fold_of.keys(), fold
    # Every batch is inside one role of one fold (folds are apart, so this is no accident).
    for batch in seen["train"]:
        assert any(batch <= train for train, _, _ in parts)
    for batch in seen["select"]:
        assert any(batch <= select for _, select, _ in parts)


def changed_study(study, folder: Path, patients: set[str], table):
    """Return the study with other features of some patients; nothing else differs."""
    store, other = FeatureStore(study.features), FeatureStore(folder / "features")
    for row in study.rows():
        found = store.read(row["slide_id"])
        values = found.features_ND
        if row["patient_id"] in patients:
            values = (50 * np.flip(values, axis=1) - 7).astype(np.float16)
        other.write(SlideFeatures(record=found.record, features_ND=values, coords_N2=None))
    return type(study)(cohort=study.cohort, features=other.folder)


def test_a_model_is_the_same_whatever_its_tested_patients_look_like(
    toy_study, federated_run, tmp_path, table
):
    """The proof from outside: change everything about fold 0's tested patients."""
    rows = table(federated_run.splits)
    tested = {row["patient_id"] for row in rows if (row["fold"], row["role"]) == ("0", "test")}
    changed = changed_study(toy_study, tmp_path / "s", tested, table)
    options = changed.options(tmp_path / "run", "federation.rounds=3")
    assert main(["federate", *options]) == 0

    def model(run: Path, arm: str, fold: int) -> dict[str, np.ndarray]:
        from safetensors.numpy import load_file

        return load_file(run / arm / f"fold-{fold}" / "model.safetensors")

    for arm in ("federated", "pooled", "local-east"):
        before, after = model(federated_run.path, arm, 0), model(tmp_path / "run", arm, 0)
        for name, tensor in before.items():
            assert np.array_equal(after[name], tensor), (arm, name)
        # These patients train or select elsewhere, so the other models do change.
        others = model(federated_run.path, arm, 1), model(tmp_path / "run", arm, 1)
        assert any(
            not np.array_equal(others[1][name], tensor) for name, tensor in others[0].items()
        )
    for arm in ("federated", "pooled", "local-east", "baseline"):
        before = table(federated_run.predictions(arm))
        after = table(tmp_path / "run" / arm / "predictions.csv")
        for old, new in zip(before, after, strict=True):
            if old["fold"] == "0":
                assert old["probability"] != new["probability"]


def test_every_arm_starts_from_the_same_weights(toy_study, tmp_path, monkeypatch):
    """Arms of a fold differ in who trains, not in the luck of the first weights."""
    started: dict[int, list[bytes]] = defaultdict(list)
    real = fit._module_of

    def module_of(study, fold, bags):
        module = real(study, fold, bags)
        weights = module.aggregator.classify.weight.detach().numpy().tobytes()
        started[fold.number].append(weights)
        return module

    monkeypatch.setattr(fit, "_module_of", module_of)
    options = toy_study.options(tmp_path / "run", "federation.rounds=1", "trainer.max_epochs=1")
    assert main(["federate", *options, "compare=[local,pooled]"]) == 0
    assert sorted(started) == [0, 1, 2]
    for weights in started.values():
        assert len(weights) == 5 + 4 + 1  # the server's, every hospital's copy, local, pooled
        assert len(set(weights)) == 1
    assert len({weights[0] for weights in started.values()}) == 3


def test_a_hospital_loads_its_own_patients_only(toy_study, tmp_path, monkeypatch):
    held: list[set[str]] = []
    real = BagDataModule.__init__

    def init(self, bags, fold, **options):
        real(self, bags, fold, **options)
        held.append({bag.site for bag in self.train.bags})

    monkeypatch.setattr(BagDataModule, "__init__", init)
    options = toy_study.options(tmp_path / "run", "federation.rounds=1", "compare=[]")
    assert main(["federate", *options]) == 0
    federated = [sites for sites in held if len(sites) == 1]
    assert len(federated) == 4 * N_FOLDS
    assert {site for sites in federated for site in sites} == {"east", "north", "south", "west"}


def test_renaming_hospitals_keeps_the_data_of_each(toy_study, federated_run, tmp_path, table):
    """Names order the hospitals' turns, seed their shuffles and deal the folds.

    So other names give other draws: the run is as good, not the same. What stays is who is in the
    cohort, with which label, and that every run of one naming repeats itself.
    """
    renamed = {"east": "zulu", "north": "yankee", "south": "xray", "west": "alpha"}
    rows = [row | {"site": renamed[row["site"]]} for row in toy_study.rows()]
    cohort = tmp_path / "renamed.csv"
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    cohort.write_text("\n".join(lines) + "\n", encoding="utf-8")
    study = type(toy_study)(cohort=cohort, features=toy_study.features)
    options = study.options(tmp_path / "run", "federation.rounds=3", "compare=[baseline]")
    assert main(["federate", *options]) == 0
    before = table(federated_run.predictions("federated"))
    after = table(tmp_path / "run" / "federated" / "predictions.csv")
    for old, new in zip(before, after, strict=True):
        assert (new["patient_id"], new["label"]) == (old["patient_id"], old["label"])
        assert new["site"] == renamed[old["site"]]
