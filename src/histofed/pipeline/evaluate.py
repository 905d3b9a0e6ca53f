"""``histofed evaluate``: metrics with intervals, figures and the report of a run.

Every number is per patient and out of fold: the model that made it was neither trained nor picked
on that patient.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.metrics import auprc, auroc, bootstrap, bootstrap_mean, brier, ece
from histofed.core.words import counted
from histofed.errors import CohortError
from histofed.io.predictions import read_predictions
from histofed.io.runs import LOCAL, RunFolder, write_json
from histofed.io.splits import read_splits
from histofed.pipeline import terminal
from histofed.pipeline.asking import task_of
from histofed.pipeline.reporting import make_report
from histofed.pipeline.study import stored_config
from histofed.report.model import ArmSummary, SiteResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.types import Prediction
    from histofed.pipeline.schema import EvaluateConfig

LOCAL_MEAN = "local-only, mean of"
N_RESAMPLES = 2000


def run(config: EvaluateConfig) -> int:
    """Evaluate a run; return the exit code."""
    folder = RunFolder(Path(config.run))
    summary = evaluate(folder, n_resamples=config.n_resamples, seed=config.seed)
    show(summary, folder, following=f"open {folder.report}")
    return 0


def evaluate(run: RunFolder, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> list[ArmSummary]:
    """Compute the metrics of every arm; write ``metrics.json``, figures and the report.

    Returns
    -------
    summary
        One row per way of training; the local-only models are one row, their mean.
    """
    run.read()
    arms = read_arms(run)
    summaries = {
        arm: _summary(arm, predictions, n_resamples=n_resamples, seed=seed)
        for arm, predictions in arms.items()
    }
    sites = _site_results(arms, n_resamples=n_resamples, seed=seed)
    rows = [row for arm, row in summaries.items() if not arm.startswith(LOCAL)]
    if local := [arms[arm] for arm in arms if arm.startswith(LOCAL)]:
        place = sum(row.arm in ("federated", "pooled") for row in rows)
        n_sites = len({prediction.site for prediction in local[0]})
        of_all = "" if len(local) == n_sites else f" of {n_sites}"
        name = f"{LOCAL_MEAN} {len(local)}{of_all} hospitals"
        rows.insert(place, _local_mean(name, local, n_resamples=n_resamples, seed=seed))
    write_json(run.metrics, _record(arms, summaries, rows, sites))
    make_report(run, arms=arms, summary=rows, sites=sites)
    return rows


def read_arms(run: RunFolder) -> dict[str, list[Prediction]]:
    """Read every arm's predictions of patients whose label is known, federated first.

    Raises
    ------
    CohortError
        No arm, or arms that do not speak of the same patients.
    """
    names = sorted(run.arms(), key=lambda arm: (arm != "federated", arm != "pooled", arm))
    if not names:
        msg = f"{run.path}: no predictions yet; run `histofed train` or `histofed federate`"
        raise CohortError(msg)
    task = task_of(stored_config(run).task)
    arms = {arm: read_predictions(run.predictions(arm), task=task) for arm in names}
    asked = [(p.patient_id, str(p.label)) for p in arms[names[0]]]  # NaN is not itself
    folds = reversed(read_splits(run.splits))  # who is tested by several belongs to the first
    fold_of = {patient: fold.number for fold in folds for patient in fold.test}
    for arm, predictions in arms.items():
        found = {p.patient_id: p.fold for p in predictions}
        if found != fold_of or len(found) != len(predictions):
            msg = f"{run.predictions(arm)}: not one prediction for every patient of "
            msg += f"{run.splits.name}, from the fold that held the patient out; train again"
            raise CohortError(msg)
        if [(p.patient_id, str(p.label)) for p in predictions] != asked:
            msg = f"{run.path}: arms {names[0]} and {arm} are not of the same patients and labels; "
            msg += "train again"
            raise CohortError(msg)
    return {
        arm: [p for p in predictions if not all(map(math.isnan, p.label))]
        for arm, predictions in arms.items()
    }


def show(summary: Sequence[ArmSummary], run: RunFolder, *, following: str) -> None:
    """Print the table of arms and the closing panel."""
    first = summary[0]
    terminal.table(
        f"{counted(first.n_patients, 'held-out patient')}, {first.n_positive} positive",
        ("trained", "AUROC (95% interval)", "AUPRC", "Brier"),
        [
            (row.arm, str(row.auroc), f"{row.auprc.value:.3f}", f"{row.brier.value:.3f}")
            for row in summary
        ],
    )
    facts = {"run": str(run.path), "numbers": str(run.metrics), "report": str(run.report)}
    terminal.closing("evaluated", facts, next_command=following)


def labels_of(predictions: Sequence[Prediction]) -> np.ndarray:
    """Return the labels, ``(P,)``."""
    return np.array([int(prediction.label[0]) for prediction in predictions])


def probabilities_of(predictions: Sequence[Prediction]) -> np.ndarray:
    """Return the probabilities, ``(P,)``."""
    return np.array([prediction.outputs[0] for prediction in predictions])


def _summary(
    arm: str, predictions: Sequence[Prediction], *, n_resamples: int, seed: int
) -> ArmSummary:
    labels, values = labels_of(predictions), probabilities_of(predictions)
    found = {
        metric.__name__: bootstrap(metric, labels, values, n_resamples=n_resamples, seed=seed)
        for metric in (auroc, auprc, brier)
    }
    return ArmSummary(arm=arm, n_patients=len(labels), n_positive=int(labels.sum()), **found)


def _local_mean(
    name: str, local: Sequence[Sequence[Prediction]], *, n_resamples: int, seed: int
) -> ArmSummary:
    """Return the mean over hospitals of each one's own model, on the same patients."""
    labels = labels_of(local[0])
    values = [probabilities_of(predictions) for predictions in local]
    found = {
        metric.__name__: bootstrap_mean(metric, labels, values, n_resamples=n_resamples, seed=seed)
        for metric in (auroc, auprc, brier)
    }
    return ArmSummary(arm=name, n_patients=len(labels), n_positive=int(labels.sum()), **found)


def _site_results(
    arms: dict[str, list[Prediction]], *, n_resamples: int, seed: int
) -> list[SiteResult]:
    """Return every arm at every hospital; a model that learned the stain shows here."""
    results = []
    for arm, predictions in arms.items():
        for site in sorted({prediction.site for prediction in predictions}):
            here = [prediction for prediction in predictions if prediction.site == site]
            labels = labels_of(here)
            both = 0 < labels.sum() < len(labels)
            results.append(
                SiteResult(
                    site=site,
                    arm=arm,
                    n_patients=len(labels),
                    n_positive=int(labels.sum()),
                    auroc=bootstrap(
                        auroc, labels, probabilities_of(here), n_resamples=n_resamples, seed=seed
                    )
                    if both
                    else None,
                )
            )
    return results


def _record(
    arms: dict[str, list[Prediction]],
    summaries: dict[str, ArmSummary],
    rows: list[ArmSummary],
    sites: list[SiteResult],
) -> dict[str, Any]:
    """Return what ``metrics.json`` holds."""
    record: dict[str, Any] = {
        arm: {
            **asdict(summary),
            "ece": ece(labels_of(arms[arm]), probabilities_of(arms[arm])),
            "sites": {
                row.site: {
                    "n_patients": row.n_patients,
                    "n_positive": row.n_positive,
                    "auroc": asdict(row.auroc) if row.auroc else None,
                }
                for row in sites
                if row.arm == arm
            },
        }
        for arm, summary in summaries.items()
    }
    local_mean = [asdict(row) for row in rows if row.arm.startswith(LOCAL_MEAN)]
    return {"arms": record, "local_mean": local_mean[0] if local_mean else None}
