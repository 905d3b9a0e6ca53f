from __future__ import annotations

import json
import math
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

import histofed
from histofed.errors import StoreError
from histofed.io.runs import RunFolder, read_json, write_json


def test_a_run_says_how_it_was_made(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/histofed", "train", "task=egfr", "seed=7"])
    run = RunFolder(tmp_path / "demo")
    run.start({"seed": 7, "task": {"name": "egfr"}}, config_yaml="seed: 7\n", inputs={})
    record = run.read()
    assert (record["format"], record["format_version"]) == ("histofed/run", 1)
    assert record["software"] == f"histofed {histofed.__version__}"
    assert record["command"] == "histofed train task=egfr seed=7"
    assert record["config"] == {"seed": 7, "task": {"name": "egfr"}}
    assert datetime.fromisoformat(record["started"]).utcoffset() is not None
    assert record["packages"]["numpy"]
    assert (run.path / "config.yaml").read_text() == "seed: 7\n"


def test_the_commit_is_recorded_where_there_is_a_checkout(tmp_path) -> None:
    root = Path(histofed.__file__).resolve().parents[2]
    run = RunFolder(tmp_path)
    run.start({}, config_yaml="", inputs={})
    if not (root / ".git").exists():
        assert run.read()["commit"] is None
        return
    head = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout
    assert head.startswith(run.read()["commit"].removesuffix("-dirty"))


def test_naming_a_run_touches_no_disk(tmp_path) -> None:
    run = RunFolder(tmp_path / "demo")
    paths = [run.splits, run.metrics, run.summary, run.report, run.figures, run.heatmaps]
    paths += [run.scores, run.predictions("pooled"), run.fold("federated", 2)]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(run.path) for path in paths)
    assert list(tmp_path.iterdir()) == []


def test_arms_are_those_with_predictions(tmp_path) -> None:
    run = RunFolder(tmp_path)
    assert run.arms() == []
    for arm in ("pooled", "federated", "local-north"):
        run.predictions(arm).parent.mkdir()
        run.predictions(arm).touch()
    run.fold("half-done", 0).mkdir(parents=True)
    assert run.arms() == ["federated", "local-north", "pooled"]


def test_a_folder_that_is_no_run_is_refused_with_the_option(tmp_path) -> None:
    with pytest.raises(StoreError, match=r"is not a run folder \(no run\.json\).*run=PATH"):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"'])
def test_json_that_is_not_an_object_is_refused_by_name(tmp_path, text) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(StoreError, match=r"run\.json"):
        read_json(path)


def test_missing_json_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(StoreError, match=r"metrics\.json: cannot be read"):
        read_json(tmp_path / "metrics.json")


def test_json_in_another_encoding_is_refused_by_name(tmp_path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(StoreError, match=r"run\.json"):
        read_json(path)


def test_numbers_come_back_exactly_and_nan_is_not_written(tmp_path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"auroc": 0.1 + 0.2, "tiny": 5e-324})
    assert read_json(path) == {"auroc": 0.1 + 0.2, "tiny": 5e-324}
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(path, {"auroc": math.nan})
    assert path.read_bytes() == before
    assert json.loads(before)
    assert list(tmp_path.iterdir()) == [path]
