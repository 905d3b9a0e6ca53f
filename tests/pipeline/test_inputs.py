"""A run notices what has changed under it, and never touches what is not its own."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from histofed.cli import main

if TYPE_CHECKING:
    from pathlib import Path

FAST = ("splits.n_folds=3", "trainer.max_epochs=2")


@pytest.fixture(scope="module")
def finished(toy_study, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("inputs") / "run"
    assert main(["train", *toy_study.options(run, *FAST)]) == 0
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert main(list(command)) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def test_a_folder_that_is_not_a_run_is_left_alone(toy_study, tmp_path, capsys) -> None:
    (tmp_path / "pooled").mkdir()
    (tmp_path / "pooled" / "notes.txt").write_text("mine")
    command = ["train", *toy_study.options(tmp_path, *FAST), "overwrite=true"]
    assert "not a run folder" in refused(capsys, *command)
    assert (tmp_path / "pooled" / "notes.txt").read_text() == "mine"


def test_replacing_a_run_keeps_what_is_not_a_result(toy_study, run) -> None:
    (run / "thesis").mkdir()
    (run / "thesis" / "predictions.csv").write_text("mine")
    assert main(["train", *toy_study.options(run, *FAST), "overwrite=true"]) == 0
    assert (run / "thesis" / "predictions.csv").read_text() == "mine"


def test_of_two_that_start_at_once_one_wins(toy_study, tmp_path) -> None:
    from histofed.errors import StoreError
    from histofed.pipeline.config import compose, to_object
    from histofed.pipeline.study import open_study

    options = toy_study.options(tmp_path / "run", *FAST)
    first = open_study(to_object(compose("train", options)))
    second = open_study(to_object(compose("train", options)))
    first.start()
    (first.run.path / "splits.csv").unlink()
    with pytest.raises(StoreError, match="another process"):
        second.run.start({}, config_yaml="", inputs={})


@pytest.mark.parametrize("edit", ["labels", "doubled", "removed"])
def test_edited_predictions_are_not_evaluated(run, capsys, edit) -> None:
    path = run / "pooled" / "predictions.csv"
    head, *rows = path.read_text().splitlines()
    rows = {
        "labels": [*rows[:-1], rows[-1].replace(",0,0.", ",1,0.").replace(",1,0.", ",0,0.")],
        "doubled": [*rows, rows[-1]],
        "removed": rows[:-1],
    }[edit]
    path.write_text("\n".join([head, *rows]) + "\n")
    assert "pooled" in refused(capsys, "evaluate", f"run={run}")


def test_a_record_of_another_version_is_refused(run, capsys) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    assert "run.json" in refused(capsys, "evaluate", f"run={run}")


def test_names_beyond_ascii_need_no_quotes(toy_study, tmp_path) -> None:
    assert main(["train", *toy_study.options(tmp_path / "köln", *FAST)]) == 0
    assert (tmp_path / "köln" / "report.html").exists()


def test_too_few_hospitals_are_refused_before_anything_is_written(
    toy_study, tmp_path, capsys
) -> None:
    run = tmp_path / "run"
    options = toy_study.options(run, "federation.min_sites=9")
    assert "federation.min_sites is 9" in refused(capsys, "federate", *options)
    assert not run.exists()
