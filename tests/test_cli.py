"""The command: help, exit codes, and errors as sentences."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import histofed
from histofed.cli import VERBS, main
from histofed.pipeline.usage import UNUSED

SOURCE = Path(histofed.__file__).resolve().parents[1]


@pytest.mark.parametrize("arguments", [[], ["help"], ["-h"], ["--help"]])
def test_help_names_every_verb(arguments, capsys):
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    for verb, meaning in VERBS.items():
        assert verb.replace("_", " ") in shown
        assert meaning in shown
    assert "[option=value ...]" in shown


@pytest.mark.parametrize("argument", ["version", "--version"])
def test_version(argument, capsys):
    assert main([argument]) == 0
    assert capsys.readouterr().out.strip() == f"histofed {histofed.__version__}"


def test_an_unknown_verb_is_refused(capsys):
    assert main(["trian", "cancer=lung"]) == 2
    captured = capsys.readouterr()
    assert "trian is not a verb" in captured.err
    assert "train" in captured.err
    assert captured.out == ""


def test_a_refusal_is_a_sentence_on_stderr(capsys):
    assert main(["train", "trainer.max_epoch=3"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("histofed train: trainer.max_epoch is not known")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "seeed=1", "--multirun"], "seeed is not known. Did you mean seed. Allowed: "),
        (["train", "--multirun", "cancer=lung,brest"], "cancer=brest is not known.*cancer=breast"),
        (["train", "--cfg", "job", "trainer.max_epoch=80"], "Did you mean trainer.max_epochs"),
        (["train", "trainer.max_epochs", "80"], "written name=value, without spaces"),
        (
            ["train", "--max-epochs", "5"],
            "--max-epochs is not a flag; options are written name=val",
        ),
        (
            ["tile", "strategy=fedavg"],
            "strategy is no choice of tile; its choices are: cancer, tis",
        ),
    ],
)
def test_misspelt_options_are_refused_with_what_is_allowed(arguments, said, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.match(f"histofed {arguments[0]}: .*{said}", captured.err, re.DOTALL)
    assert "Hydra" not in captured.err
    assert "HYDRA" not in captured.err


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_help_of_a_verb_explains_its_options(verb, capsys):
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert VERBS[verb] in shown
    assert "defaults:" not in shown
    assert "Hydra" not in shown
    unused = UNUSED.get(verb, set())
    options = compose_names(verb)
    assert [name for name in options if f"{name}:" not in shown] == sorted(
        (name for name in options if name in unused), key=options.index
    )


def test_help_shows_no_option_that_a_verb_takes_over_and_does_not_use(capsys):
    assert main(["federate", "provision", "--help"]) == 0
    shown = capsys.readouterr().out
    for name in ("cohort:", "  file:", "min_patients:", "choose:", "compare:"):
        assert name not in shown, name
    for name in ("hospitals:", "  n_folds:", "min_sites:", "columns:"):
        assert name in shown, name


def test_help_begins_with_what_the_verb_adds(capsys):
    assert main(["extract", "--help"]) == 0
    shown = capsys.readouterr().out
    assert 0 < shown.index("# histofed extract slides=") < shown.index("# histofed tile slides=")
    assert "encoder.weights=FILE" in shown


def compose_names(verb: str) -> list[str]:
    """Options of a verb that come from no group."""
    from histofed.pipeline.config import groups
    from histofed.pipeline.schema import SCHEMAS

    return [f.name for f in dataclasses.fields(SCHEMAS[verb]) if f.name not in groups()]


def test_help_names_the_choices_of_a_verb(capsys):
    assert main(["federate", "-h"]) == 0
    shown = capsys.readouterr().out
    assert "cancer=breast|demo|lung|mesothelioma|myeloma" in shown
    assert "strategy=" in shown
    assert main(["train", "--help"]) == 0
    assert "strategy=" not in capsys.readouterr().out


def test_words_of_users_are_not_markup(capsys):
    assert main(["train", "cohort=[/nowhere].csv"]) == 2
    assert main(["[red]train"]) == 2
    assert "[red]train is not a verb" in capsys.readouterr().err


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_shows_its_options(verb, capsys):
    """Hydra's own flags work as everywhere."""
    assert main([verb, "--cfg", "job"]) == 0
    shown = capsys.readouterr().out
    assert ":" in shown
    assert "Traceback" not in shown


def test_hydra_flags_leave_no_folder_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = list(sys.argv)
    assert main(["train", "--cfg", "job", "seed=5"]) == 0
    assert "seed: 5" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert sys.argv == before


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, "-m", "histofed", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        check=False,
    )


def test_python_m_histofed(tmp_path):
    done = command("train", "cancer=lung", "task=egfr", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "data/lung/cohort.csv is not there" in done.stderr
    assert "patient_id, slide_id, site, path, egfr" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert command("--version", cwd=tmp_path).stdout.startswith("histofed ")


def test_multirun_runs_every_job_and_keeps_the_worst_code(tmp_path, capsys, monkeypatch):
    """A sweep over two runs that are not there: both are refused, in a sentence."""
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "--multirun", "run=one,two"]) == 2
    captured = capsys.readouterr()
    assert "is not a run folder" in captured.err
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


def test_output_that_nobody_reads_is_no_error(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    program = [sys.executable, "-m", "histofed", "train", "--help"]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=tmp_path
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
