"""What hospitals and server do over a network, without the network: each carries messages here."""

from __future__ import annotations

import copy
import csv
import functools
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.torch import load_file

from histofed.cli import main
from histofed.errors import CohortError, ConfigError, FederationError, OutputUnwritable
from histofed.federation.agreement import Disagreement
from histofed.federation.calibration import Question
from histofed.federation.site_metrics import MOST_QUESTIONS
from histofed.federation.transports.in_process import run_sites
from histofed.federation.transports.nvflare.diary import Diary
from histofed.federation.wire import decode_round, decode_update, encode_round, encode_update
from histofed.pipeline import build, federate_join, over_hospitals
from histofed.pipeline.config import compose, to_object
from histofed.pipeline.fit import SELECTION
from histofed.pipeline.network_hospital import Hospital
from histofed.pipeline.network_server import Coordinator
from histofed.pipeline.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path

    import torch

SITES = ("north", "south", "west")
FAST = (
    "splits.n_folds=3", "splits.scheme=file", "trainer.learning_rate=0.03",
    "trainer.accelerator=cpu", "aggregator.hidden_dim=16", "aggregator.attention_dim=4",
    "federation.rounds=2", "encoder.name=toy",
)  # fmt: skip


@dataclass(frozen=True)
class Hospitals:
    """A study, and the same as three hospitals have it, who keep their runs in `places`."""

    folder: Path
    pooled: Path
    places: Path

    def options(self, site: str, **more: object) -> dict[str, str]:
        here, place = self.folder / site, self.places / site
        local = {
            "kit": self.folder,
            "cohort": here / "cohort.csv",
            "features": self.pooled,
            "splits_file": here / "splits.csv",
            "work": place / "work",
            "run": place / "run",
        }
        policy = {"min_patients": 1, "min_steps": 1}
        return {"site": site, **policy, **{name: str(path) for name, path in local.items()}, **more}


def part_of(source: Path, target: Path, keep) -> None:
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if keep(row))


@pytest.fixture(scope="module")
def provision():
    """Return options of `histofed federate provision`, with some changed."""
    words = [f"hospitals=[{','.join(SITES)}]", "host=localhost", *FAST, "splits.file=null"]
    made = to_object(compose("federate_provision", words))

    def options(**changed: object):
        found = copy.deepcopy(made)
        for name, value in changed.items():
            *blocks, last = name.split("__")
            block = functools.reduce(getattr, blocks, found)
            block.update({last: value}) if isinstance(block, dict) else setattr(block, last, value)
        return found

    return options


@pytest.fixture(scope="module")
def made(toy_study_of, tmp_path_factory, provision) -> Hospitals:
    folder = tmp_path_factory.mktemp("hospitals")
    study = toy_study_of(folder / "all", sites=SITES, patients=6)
    dealt = study.options(folder / "dealt", "federation.rounds=1", "compare=[]")
    assert main(["federate", *dealt]) == 0
    splits = folder / "dealt" / "splits.csv"
    simulated = study.options(
        folder / "simulated", *FAST, f"splits.file={splits}", "compare=[]", "trainer.max_epochs=40"
    )
    assert main(["federate", *simulated]) == 0
    site_of = {row["patient_id"]: row["site"] for row in study.rows()}
    for site in SITES:

        def here(row: dict[str, str], site: str = site) -> bool:
            return site_of[row["patient_id"]] == site

        part_of(study.cohort, folder / site / "cohort.csv", here)
        part_of(splits, folder / site / "splits.csv", here)
    Plan.of(provision()).write(folder)
    return Hospitals(folder, study.features, folder / "places")


@pytest.fixture
def hospitals(made, tmp_path) -> Hospitals:
    """Hospitals that have taken part in nothing yet."""
    return replace(made, places=tmp_path / "places")


@pytest.fixture(scope="module")
def carried(made) -> tuple[Hospitals, Coordinator]:
    """Hospitals after a whole run, and their server; to be read only."""
    return made, carry(made, made.folder / "server")


@pytest.fixture
def trained(carried, tmp_path) -> Hospitals:
    """Hospitals after a whole run, for one test alone."""
    return replace(carried[0], places=shutil.copytree(carried[0].places, tmp_path / "places"))


class Wired:
    """An exchange whose messages are bytes on the way."""

    def __init__(self, exchange, update_dtype: str) -> None:
        self.exchange, self.half = exchange, update_dtype == "float16"

    def pull(self):
        self.current = decode_round(encode_round(self.exchange.pull()))
        return self.current

    def push(self, update) -> None:
        data = encode_update(update, base=self.current.state if self.half else None)
        self.exchange.push(decode_update(data, base=self.current.state))


def wired(work: Hospital, part: str):
    return lambda exchange: work.train(part, Wired(exchange, work.update_dtype))


def carry(hospitals: Hospitals, run: Path) -> Coordinator:
    """Carry every message of a run as bytes, as a network would."""
    options = {"kit": str(hospitals.folder), "run": str(run), "deadline_s": 1, "grace_s": 1}
    server_work = Coordinator(options)
    works = {site: Hospital(hospitals.options(site)) for site in SITES}
    for work in works.values():
        work.begin()
    server_work.check({site: work.facts() for site, work in works.items()})
    for part in server_work.parts:
        server = server_work.start(part, {site: work.sums(part) for site, work in works.items()})
        result = run_sites(
            {site: wired(work, part) for site, work in works.items()},
            build.strategy(server_work.config.strategy),
            initial_state=server.round.state,
            rounds=server.round.total,
            selection=SELECTION,
        )
        server_work.close(part, result)
        for work in works.values():
            work.keep(part, result.best_state)

    def put(question):
        """As the transport: answers are JSON, a refusal is words."""
        answers, silent = {}, {}
        for site, work in works.items():
            try:
                answers[site] = json.loads(json.dumps(work.evaluate(question)))
            except FederationError as error:
                silent[site] = str(error)
        return answers, silent

    server_work.evaluate(put)
    for work in works.values():
        work.finish()
    return server_work


def test_each_hospital_alone_with_its_data_makes_the_models_of_the_simulation(carried, table):
    hospitals, done = carried
    for fold in range(3):
        name = f"federated/fold-{fold}/model.safetensors"
        expected = load_file(hospitals.folder / "simulated" / name)
        models = [done.folder.path / name, *(hospitals.places / s / "run" / name for s in SITES)]
        for file in models:
            found = load_file(file)
            assert found.keys() == expected.keys()
            assert all(found[each].equal(expected[each]) for each in expected), file
    simulated = {
        row["patient_id"]: row["probability"]
        for row in table(hospitals.folder / "simulated" / "federated" / "predictions.csv")
    }
    for site in SITES:
        rows = table(hospitals.places / site / "run" / "federated" / "predictions.csv")
        assert len(rows) == 6
        # Other patients beside them in a batch move the last digits.
        for row in rows:
            expected = float(simulated[row["patient_id"]])
            assert float(row["probability"]) == pytest.approx(expected, abs=1e-6)


def test_metrics_over_hospitals_are_those_of_the_simulation(carried):
    hospitals, done = carried
    found = json.loads((done.folder.path / "metrics.json").read_text())
    simulated = json.loads((hospitals.folder / "simulated" / "metrics.json").read_text())
    exact = simulated["arms"]["federated"]
    (summed,), (same,) = (each["over_hospitals"].values() for each in (found, simulated))
    assert summed["auroc"] == pytest.approx(same["auroc"], abs=1e-6)
    assert summed["n_patients"] == summed["n_binned"] == 18
    assert summed["auroc"]["at_least"] <= exact["auroc"]["value"] <= summed["auroc"]["at_most"]
    assert summed["brier"] == pytest.approx(exact["brier"]["value"], abs=1e-6)
    for site in SITES:
        own = json.loads(
            (hospitals.places / site / "run" / "federated" / "models.json").read_text()
        )
        assert sorted(own) == ["fold-0", "fold-1", "fold-2"]
        assert found["hospitals"][site]["auroc"] == exact["sites"][site]["auroc"]
    assert found["silent"] == {}
    assert found["sums_from"] == {f"fold-{k}": list(SITES) for k in range(3)}
    over_hospitals.show(done.task, found)


def spoilt(sums, name: str, change) -> dict[str, torch.Tensor]:
    return {**sums, name: change(sums[name])}


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("sum_D", lambda each: each * float("nan"), "'sum_D' must be finite"),
        ("sum_D", lambda each: each[:1], r"'sum_D' must have the shape .*found \(1,\)"),
        ("sum_D", lambda each: each * 1e6, "square_sum_D must be at least sum_D squared"),
        ("square_sum_D", lambda each: -each, "square_sum_D must be at least"),
        ("square_sum_D", lambda each: each * 1e12, "100 times the median hospital"),
        ("n_tiles", lambda each: each * 1e9, "n_tiles must be"),
        ("label_n_patients", lambda each: each - 0.5, "n_patients must be a whole number"),
        ("label_class_count_G", lambda each: each + 1e9, "label_class_count_G must be in 0"),
    ],
)
def test_sums_that_are_none_of_patients_are_refused(hospitals, tmp_path, name, change, match):
    options = {"kit": str(hospitals.folder), "run": str(tmp_path), "deadline_s": 1, "grace_s": 1}
    server = Coordinator(options)
    works = [Hospital(hospitals.options(site)) for site in SITES]
    server.check({work.site: work.facts() for work in works})
    sums = {work.site: work.sums("fold-0") for work in works}
    assert server.faults_in(sums) == {}
    sums["south"] = spoilt(sums["south"], name, change)
    ((site, fault),) = server.faults_in(sums).items()
    assert site == "south"
    assert re.search(match, fault)
    del sums["south"]["n_tiles"]
    assert "'n_tiles' is missing" in server.faults_in(sums)["south"]


def test_a_hospital_with_few_tested_patients_keeps_its_numbers(trained, capsys):
    work = Hospital(trained.options("north", min_patients=7))
    for question in ({"of": "metrics"}, {"of": "calibration", "output": "probability"}):
        with pytest.raises(FederationError, match="fewer than 7 tested patients"):
            work.evaluate(question)
    record = over_hospitals.asked_of_all(
        work.study.task, lambda _: ({"south": {"no": "metrics"}}, {"north": "north says no"})
    )
    assert record["hospitals"] == record["over_hospitals"] == {}
    assert record["silent"]["north"] == "north says no"
    assert "site south: metrics cannot be used" in record["silent"]["south"]
    over_hospitals.show(work.study.task, record)
    assert "cannot be told: no hospital has sent numbers" in capsys.readouterr().out


def test_a_hospital_does_not_answer_for_one_patient(trained):
    work = Hospital(trained.options("north", min_patients=4))
    question = {"of": "calibration", "output": "probability", "centre": 30.0}
    assert work.evaluate({**question, "beta": [100.0, 0.0]}) == {
        "kept": "few patients make the answer"
    }
    assert "gradient" in work.evaluate({**question, "beta": [0.0, 0.0]})


def test_a_hospital_with_few_patients_to_train_on_keeps_their_sums(hospitals):
    work = Hospital(hospitals.options("north", min_patients=7))
    with pytest.raises(FederationError, match="fewer than 7 patients to train on"):
        work.sums("fold-0")


def test_a_finished_model_that_is_damaged_is_not_kept(hospitals, tmp_path):
    work = Hospital(hospitals.options("north", run=str(tmp_path)))
    sound = work._module(work.study.folds[0]).state_dict()
    name = next(iter(sound))
    for state, match in (
        ({}, "is missing"),
        ({**sound, name: sound[name].reshape(-1)[:1].clone()}, "must have the shape"),
        ({**sound, name: sound[name] * float("nan")}, "must be finite, found nan"),
    ):
        with pytest.raises(FederationError, match=match):
            work.keep("fold-0", state)
    assert not list(tmp_path.rglob("model.safetensors"))


def asked_of_north_and_south(told: dict[str, object]):
    """Ask for a calibration that north answers and south does not."""
    put = lambda _: ({"north": ANSWER, **told}, {})  # noqa: E731
    outputs = {"one", "two"}
    ask = over_hospitals._Calibration(put, {"north": outputs, "south": outputs})
    question = Question(np.zeros(1), 0.0)
    for output in ("one", "two"):
        with pytest.raises(CohortError, match="slope: south did not answer, or few patients"):
            ask(output, question)
    return ask


ANSWER = {"log_likelihood": -1.0, "gradient": [0.5], "information": [[1.0]]}


def test_who_keeps_one_answer_is_asked_again_and_who_was_silent_is_not():
    assert asked_of_north_and_south({"south": {"kept": "few"}})._silent == set()
    assert asked_of_north_and_south({})._silent == {"south"}


def test_a_hospital_answers_no_more_about_calibration_than_a_fit_needs(trained):
    (trained.places / "north" / "run" / "memory" / "asked.json").unlink()  # of the fit
    work = Hospital(trained.options("north"))
    question = {"of": "calibration", "output": "probability", "beta": [1.0, 0.0], "centre": 0.0}
    work.evaluate({"of": "metrics"})
    for number in range(MOST_QUESTIONS):
        asked = {**question, "beta": [1.0, number / 100]}
        assert len(work.evaluate(asked)["gradient"]) == 2
    for again in (work, Hospital(trained.options("north"))):  # a new job counts on
        assert len(again.evaluate(question)["gradient"]) == 2
        with pytest.raises(FederationError, match="enough was asked of it"):
            again.evaluate({**question, "beta": [1.0, 7.0]})
    with pytest.raises(FederationError, match="'other': nothing of it leaves"):
        work.evaluate({**question, "output": "other"})


def test_sums_name_nobody_and_are_no_more_than_a_few_vectors(hospitals):
    work = Hospital(hospitals.options("north"))
    sums = work.sums("fold-0")
    assert {name: tuple(value.shape) for name, value in sums.items()} == {
        "n_tiles": (), "sum_D": (16,), "square_sum_D": (16,),
        "label_n_patients": (), "label_class_count_G": (2,),
    }  # fmt: skip
    assert int(sums["label_n_patients"]) == len(work.study.folds[0].train)
    with pytest.raises(FederationError, match="has no 'fold-9'"):
        work.sums("fold-9")


def test_a_plan_that_was_changed_is_refused(hospitals, tmp_path):
    plan = (hospitals.folder / "plan.yaml").read_text()
    (tmp_path / "plan.yaml").write_text(plan.replace("rounds: 2", "rounds: 2000"))
    with pytest.raises(ConfigError, match="was changed since it was made"):
        Hospital(hospitals.options("north", kit=str(tmp_path)))
    with pytest.raises(ConfigError, match=r"there is no such file.*histofed federate provision"):
        Plan.read(tmp_path / "nowhere")


def test_the_agreement_is_of_all_that_is_shared_and_of_nothing_else(provision):
    plan = Plan.of(provision())
    assert Plan.of(provision(out="elsewhere", port=9)).agreement == plan.agreement
    for other in (
        {"seed": 1},
        {"federation__rounds": 3},
        {"trainer__weight_decay": 0.0},
        {"task__column": "other"},
        {"hospitals": ["north", "south"]},
    ):
        assert Plan.of(provision(**other)).agreement != plan.agreement, other
    assert not {"cohort", "features", "work", "run"} & plan.options.keys()


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"choose": {"seed": [1, 2]}}, "choose: hospitals cannot do this over a network"),
        ({"clinical__columns": ["age"]}, "clinical.columns: hospitals cannot"),
        ({"federation__min_sites": 4}, "min_sites is 4, but only 3 take part"),
    ],
)
def test_what_hospitals_cannot_do_together_is_refused(provision, option, match):
    with pytest.raises(ConfigError, match=match):
        Plan.of(provision(**option))


def test_rows_of_another_hospital_are_refused(hospitals):
    other = hospitals.options("north", cohort=str(hospitals.folder / "south" / "cohort.csv"))
    other["splits_file"] = hospitals.options("south")["splits_file"]
    with pytest.raises(CohortError, match="column site must be north in every row"):
        Hospital(other)


def test_a_run_folder_of_another_run_is_refused(hospitals):
    work = Hospital(hospitals.options("north", run=str(hospitals.folder / "simulated")))
    with pytest.raises(ConfigError, match=r"holds another run.*name another run="):
        work.begin()


def test_a_first_try_that_came_to_no_round_is_replaced_and_one_that_did_is_not(hospitals, tmp_path):
    run = tmp_path / "run"
    assert Hospital(hospitals.options("north", run=str(run))).begin() == ""
    other = Hospital(hospitals.options("north", run=str(run), min_steps=2))
    assert "had come to no round; it is replaced" in other.begin()
    assert other.begin() == ""  # it is this very run now
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "command": "as it failed"}))
    assert other.begin() == ""
    assert json.loads((run / "run.json").read_text())["command"] == record["command"]
    (run / "memory").mkdir()
    with pytest.raises(ConfigError, match=r"other options; name another run=\.\.\., or start"):
        Hospital(hospitals.options("north", run=str(run))).begin()


def test_a_run_folder_that_cannot_be_made_is_named_with_what_helps(hospitals, tmp_path):
    (tmp_path / "file").touch()
    work = Hospital(hospitals.options("north", run=str(tmp_path / "file" / "run")))
    with pytest.raises(OutputUnwritable, match=r"file/run cannot be written .*name another"):
        work.begin()


@pytest.fixture
def join(hospitals, tmp_path, monkeypatch):
    """Start `histofed federate join` of north, without a network; returns its run and exit code."""
    options = hospitals.options("north", run=str(tmp_path / "new" / "run"))
    startup = tmp_path / "kit" / "startup"
    startup.mkdir(parents=True)
    (startup / "fed_client.json").write_text('{"client": {"fqsn": "north"}}')
    shutil.copy(hospitals.folder / "plan.yaml", tmp_path / "kit")
    monkeypatch.setattr(federate_join, "needs_nvflare", lambda: None)
    words = [f"{name}={value}" for name, value in options.items() if name not in ("kit", "site")]
    command = ["federate", "join", f"kit={tmp_path / 'kit'}", *words]
    return lambda: (tmp_path / "new" / "run", main(command))


def test_what_a_hospital_writes_is_read_by_its_owner_only(join, monkeypatch):
    monkeypatch.setattr(federate_join, "_take_part", lambda *_, **__: 1.0)
    before = os.umask(0o022)
    try:
        run, code = join()
        assert code == 3
        assert os.umask(0o022) == 0o022  # as it was
    finally:
        os.umask(before)
    written = list(run.parent.rglob("*"))
    assert any(path.name == "run.json" for path in written)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in written}
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items()), modes


def test_a_hospital_that_starts_again_after_the_end_does_not_wait_for_the_server(
    join, monkeypatch, capsys
):
    asked, finished = [], []
    monkeypatch.setattr(federate_join, "_take_part", lambda *_, **__: asked.append(1))
    monkeypatch.setattr(federate_join, "_finish", finished.append)
    run, code = join()
    assert (code, len(asked), len(finished)) == (0, 1, 1)
    Diary(run).close({"over": True})
    assert join()[1] == 0
    assert (len(asked), len(finished)) == (1, 2)
    assert "the run is over" in capsys.readouterr().out


def test_a_hospital_that_its_own_rule_would_never_let_send_is_told_so(hospitals, tmp_path):
    work = Hospital(hospitals.options("north", run=str(tmp_path / "run"), min_patients=50))
    with pytest.raises(ConfigError, match=r"min_patients=50: .*never send; give min_patients=\d"):
        work.begin()
    assert not (tmp_path / "run").exists()


def test_a_hospital_with_other_features_than_the_plan_is_told_before_it_connects(
    hospitals, tmp_path, provision
):
    Plan.of(provision(encoder__name="uni2_h")).write(tmp_path)
    work = Hospital(hospitals.options("north", kit=str(tmp_path), run=str(tmp_path / "run")))
    with pytest.raises(Disagreement, match="site north: encoder is toy, expected uni2_h"):
        work.begin()


def test_rows_of_two_hospitals_are_named_before_features_are_read(hospitals):
    both = hospitals.folder / "all" / "cohort.csv"
    with pytest.raises(CohortError, match="found north, south, west; give a table of this"):
        Hospital(hospitals.options("north", cohort=str(both), features="nowhere"))


def test_differences_between_hospitals_are_named(hospitals, tmp_path):
    options = {"kit": str(hospitals.folder), "run": str(tmp_path), "deadline_s": 1, "grace_s": 1}
    facts = json.loads(json.dumps(Hospital(hospitals.options("north")).facts()))
    Coordinator(options).check({"a": facts, "b": dict(facts)})
    with pytest.raises(FederationError, match=r"site b: dim is 8, expected 16"):
        Coordinator(options).check({"a": facts, "b": {**facts, "dim": 8}})


def test_the_plan_is_what_hospitals_are_compared_with(hospitals, tmp_path, provision):
    """Two hospitals that have something else than the plan are at fault, not the third."""
    Plan.of(provision(encoder__name="uni2_h")).write(tmp_path)
    options = {"kit": str(tmp_path), "run": str(tmp_path), "deadline_s": 1, "grace_s": 1}
    facts = json.loads(json.dumps(Hospital(hospitals.options("north")).facts()))
    told = {"a": facts, "b": dict(facts), "c": {**facts, "encoder": "uni2_h"}}
    with pytest.raises(Disagreement, match="site a: encoder is toy, expected uni2_h") as raised:
        Coordinator(options).check(told)
    assert list(raised.value.reasons) == ["a", "b"]
    assert "site b" not in raised.value.reasons["a"]
    with pytest.raises(Disagreement, match=r"site a: package is 0\.1, expected"):
        Coordinator(options).check(
            {site: {**each, "package": "0.1"} for site, each in told.items()}
        )


def test_provision_says_what_the_plan_holds_and_what_comes_next(tmp_path, capsys):
    pytest.importorskip("nvflare")
    kits = tmp_path / "kits"
    words = [f"hospitals=[{','.join(SITES)}]", "host=localhost", "port=8002", f"out={kits}"]
    assert main(["federate", "provision", *words, *FAST, "splits.file=null"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "encoder toy, 2 rounds; hospitals are held to it" in said
    assert f"histofed federate serve kit={kits / 'server'}" in said
    assert Plan.read(kits / "north").hospitals == SITES
