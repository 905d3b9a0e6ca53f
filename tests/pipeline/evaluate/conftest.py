"""Finished runs of every kind of task, written by hand: only what ``histofed evaluate`` reads."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histofed.core.leakage import Fingerprint
from histofed.core.splits import Fold
from histofed.core.types import Prediction
from histofed.io.atomic import file_digest
from histofed.io.fingerprints import write_fingerprints
from histofed.io.predictions import write_predictions
from histofed.io.runs import RunFolder
from histofed.io.splits import write_splits
from histofed.io.tables import write_rows
from histofed.pipeline.asking import task_of
from histofed.pipeline.config import compose, to_object
from histofed.pipeline.study import stored_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histofed.core.tasks import Task

N_FOLDS = 3
SITES = ("Aachen", "Bern", "Cork")

TASKS = {
    "binary": {"column": "mutated"},
    "multiclass": {"column": "subtype", "classes": ["epithelioid", "biphasic", "sarcomatoid"]},
    "multilabel": {"columns": ["TP53", "KRAS", "EGFR", "STK11"]},
    "regression": {"columns": ["CD274", "CD8A"], "unit": "log2 TPM"},
    "survival": {
        "column": "months",
        "event_column": "died",
        "times": [12.0, 24.0, 36.0],
        "unit": "months",
    },
}


@pytest.fixture(scope="session")
def finished() -> Callable[..., RunFolder]:
    """Return the maker of finished runs."""
    return finished_run


def finished_run(
    folder: Path, kind: str, *, n_patients: int = 120, seed: int = 0, arms: tuple[str, ...] = ()
) -> RunFolder:
    """Write a run of pooled, baseline and a few local arms whose predictions know a part."""
    generator = np.random.default_rng(seed)
    run = RunFolder(folder / kind)
    patients = [f"p{number:03}" for number in range(n_patients)]
    site_of = {patient: SITES[n % len(SITES)] for n, patient in enumerate(patients)}
    task = _start(run, folder, kind, patients, site_of)
    folds = _folds(patients)
    write_splits(run.splits, folds)
    labels, signal = _labels(task, n_patients, generator)
    for arm in arms or ("pooled", "baseline", "local-Aachen", "local-Bern"):
        noise = {"pooled": 0.8}.get(arm, 1.6)
        outputs = _outputs(task, signal + noise * generator.normal(size=signal.shape), arm)
        of = {
            patient: Prediction(
                patient_id=patient,
                site=site_of[patient],
                fold=0,
                label=tuple(label),
                outputs=tuple(output),
                possible=_possible(kind, output),
                ood=float(generator.uniform(0, 100)),
            )
            for patient, label, output in zip(patients, labels, outputs, strict=True)
        }
        tested = [replace(of[p], fold=f.number) for p in patients for f in folds if p in f.test]
        write_predictions(run.predictions(arm), tested, task=task)
        if arm != "baseline":
            picked = [replace(of[p], fold=fold.number) for fold in folds for p in fold.select]
            write_predictions(run.selection(arm), picked, task=task)
    return run


def _start(
    run: RunFolder, folder: Path, kind: str, patients: list[str], site_of: dict[str, str]
) -> Task:
    cohort = folder / "cohort.csv"
    cohort.parent.mkdir(parents=True, exist_ok=True)
    write_rows(
        cohort,
        ("patient_id", "slide_id", "site", "path", "scanner", "sex", "age"),
        [
            (p, p, site_of[p], "", ("Aperio", "Hamamatsu")[n % 5 == 0], "fm"[n % 2], 40 + n % 30)
            for n, p in enumerate(patients)
        ],
    )
    # What a kind of task does not take is given by its default, none.
    given = dict.fromkeys(("column", "positive", "negative", "classes"), None) | TASKS[kind]
    options = asdict(to_object(compose("train", [f"cohort={cohort}", f"run={run.path}"])))
    options["task"] |= {"name": kind, "kind": kind, "sense": "Does it work?", **given}
    inputs = {"cohort_sha256": file_digest(cohort), "encoder": "toy", "recipe_digest": "0"}
    run.start(options, config_yaml="", inputs=inputs)
    generator = np.random.default_rng(1)
    slides = [
        Fingerprint(p, p, "", generator.normal(size=6) + 2.0 * (site_of[p] == "Bern"), 10)
        for p in patients
    ]
    write_fingerprints(run.fingerprints, slides)
    return task_of(stored_config(run).task)


def _folds(patients: list[str]) -> list[Fold]:
    return [
        Fold(
            number=number,
            test=tuple(p for p in patients if part_of(p) % N_FOLDS == number),
            select=tuple(p for p in patients if part_of(p) % N_FOLDS == (number + 1) % N_FOLDS),
            train=tuple(p for p in patients if part_of(p) % N_FOLDS == (number + 2) % N_FOLDS),
        )
        for number in range(N_FOLDS)
    ]


def part_of(patient: str) -> int:
    """Return a number that has nothing to do with site or label."""
    return int(patient[1:]) // len(SITES)


def _labels(
    task: Task, n_patients: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels ``(P, K)`` and what a model could know of them ``(P, S)``."""
    n_signals = {"multiclass": 3, "multilabel": 4, "regression": 2}.get(task.kind, 1)
    signal = generator.normal(size=(n_patients, n_signals))
    if task.kind == "binary":
        return (signal > 0.2).astype(float), 2 * signal
    if task.kind == "multiclass":
        return signal.argmax(axis=1)[:, None].astype(float), signal
    if task.kind == "multilabel":
        labels = (signal > [0.0, 0.5, 0.9, 1.2]).astype(float)
        labels[generator.random(labels.shape) < 0.2] = np.nan
        labels[:, 0] = np.nan_to_num(labels[:, 0])
        return labels, signal * [1.5, 1.0, 0.5, 0.0]
    if task.kind == "regression":
        labels = 5 + signal + 0.5 * generator.normal(size=signal.shape)
        labels[generator.random(n_patients) < 0.1, 1] = np.nan
        return labels, signal
    time = generator.exponential(30 * np.exp(-signal[:, 0]))
    lost = generator.uniform(6, 80, size=n_patients)
    event = (time <= lost).astype(float)
    return np.stack([np.round(np.minimum(time, lost), 1) + 0.1, event], axis=1), signal


def _outputs(task: Task, known: np.ndarray, arm: str) -> np.ndarray:
    """Return what a model says that knows so much."""
    if task.kind == "multiclass":
        weights = np.exp(known - known.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)
    if task.kind == "regression":
        return 5 + 0.6 * known
    if task.kind == "survival":
        survival = np.exp(-np.array([12.0, 24.0, 36.0]) / 40 * np.exp(0.5 * known))
        unknown = np.full_like(survival, np.nan)
        return np.hstack([known, unknown if arm == "baseline" else survival])
    return 1 / (1 + np.exp(-known))


def _possible(kind: str, output: np.ndarray) -> tuple[int, ...] | None:
    if kind not in ("binary", "multiclass"):
        return None
    of_class = np.array([1 - output[0], output[0]]) if kind == "binary" else output
    return tuple(np.flatnonzero(of_class > 0.25).tolist())
