"""An external cohort is tested by every model: what is fixed is the mean of what all fix."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from histofed.core.splits import Fold
from histofed.io.predictions import read_predictions, write_predictions
from histofed.io.runs import read_json
from histofed.io.splits import write_splits
from histofed.pipeline.asking import task_of
from histofed.pipeline.evaluate import Asked, evaluate
from histofed.pipeline.study import stored_config


def test_thresholds_of_a_mean_are_the_mean_of_the_models_thresholds(finished, tmp_path):
    run = finished(tmp_path, "binary", arms=("pooled",))
    evaluate(run, Asked(n_resamples=100))
    of_fold = read_json(run.metrics)["arms"]["pooled"]["details"]
    # The same patients as another cohort, of whom each prediction is a mean over all folds.
    task = task_of(stored_config(run).task)
    tested = read_predictions(run.predictions("pooled"), task=task)
    write_predictions(run.predictions("pooled"), [replace(p, fold=0) for p in tested], task=task)
    picked = read_predictions(run.selection("pooled"), task=task)
    others = [replace(p, patient_id=f"other-{p.patient_id}") for p in picked]
    write_predictions(run.selection("pooled"), others, task=task)
    patients = tuple(p.patient_id for p in tested)
    write_splits(run.splits, [Fold(number=k, train=(), select=(), test=patients) for k in range(3)])
    evaluate(run, Asked(n_resamples=100))
    found = read_json(run.metrics)["arms"]["pooled"]["details"]
    mean = np.mean(list(of_fold["decision"]["thresholds"].values()))
    assert found["decision"]["thresholds"] == {"0": pytest.approx(mean)}
    mean = np.mean(list(of_fold["temperatures"].values()))
    assert found["temperatures"] == {"0": pytest.approx(mean)}


def test_evaluating_needs_no_torch():
    code = "import sys; import histofed.pipeline.evaluate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
