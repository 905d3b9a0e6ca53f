"""Run folder -> figures and ``report.html``: whatever the run has by now."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

from histofed.core.words import counted
from histofed.io.atomic import atomic_path
from histofed.io.runs import LOCAL
from histofed.io.splits import read_splits
from histofed.pipeline.study import stored_config
from histofed.report.forest import site_figure
from histofed.report.html import write_report
from histofed.report.model import HOW_TO_READ, Picture, Report, Section, SiteResult, picture
from histofed.report.sections import sections_of
from histofed.report.sections.trust import comparison, trust
from histofed.report.training import curves_figure, rounds_figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from histofed.core.evaluation.arms import ArmEvaluation
    from histofed.core.evaluation.base import Measures
    from histofed.core.tasks import Task
    from histofed.io.runs import RunFolder
    from histofed.pipeline.schema import TrainConfig
    from histofed.report.model import ArmSummary

MAX_HEATMAPS = 6
"""More pictures than this make the page slow; all are in the run folder."""


def make_report(
    run: RunFolder,
    *,
    task: Task,
    measures: Measures,
    arms: Sequence[ArmEvaluation],
    summary: Sequence[ArmSummary],
    site_known: Mapping[str, Any],
    confounder: str | None,
) -> None:
    """Write every figure and the report."""
    config = stored_config(run)
    shown = [each for each in arms if not each.arm.startswith(LOCAL)] or list(arms)
    sites = [
        SiteResult(site=site, arm=each.arm, result=result)
        for each in shown
        for site, result in each.sites.items()
    ]
    sections = [
        *sections_of(task, shown),
        _by_site(sites, measures),
        *comparison(shown, measures),
        trust(shown, measures, site_known=site_known, confounder=confounder),
        *_training(run),
        *_heatmaps(run),
    ]
    for each in (drawn for section in sections for drawn in section.pictures):
        if each.name:
            with atomic_path(run.figures / f"{each.name}.png") as path:
                path.write_bytes(each.png)
    write_report(
        run.report,
        Report(
            title=f"{config.cancer.title}: {config.task.name}",
            subtitle=config.task.sense,
            measures=measures,
            summary=tuple(summary),
            sites=tuple(sites),
            sections=tuple(sections),
            provenance=_provenance(run, config),
            caveats=_caveats(config, run),
        ),
    )


def _by_site(results: Sequence[SiteResult], measures: Measures) -> Section:
    title = measures.metrics[0].title
    return Section(
        heading="Hospital by hospital",
        paragraph="A model that learned to tell hospitals apart by their stain would look good "
        "overall and be no better than chance within each hospital.",
        pictures=(picture("sites", site_figure(results, measures), f"{title} in each hospital"),),
    )


def _training(run: RunFolder) -> Iterable[Section]:
    """Yield the training figures of the first fold, where they exist."""
    pictures = []
    if (rounds := run.fold("federated", 0) / "rounds.csv").exists():
        alt = "Loss of each hospital, round by round"
        pictures.append(picture("rounds", _rounds(rounds), alt))
    if (curves := run.fold("pooled", 0) / "curves.csv").exists():
        table = _read(curves)
        series = {
            "training": [float(row["train_loss"]) for row in table],
            "selection": [float(row["select_loss"]) for row in table],
        }
        best = min(range(len(table)), key=lambda index: series["selection"][index])
        figure = curves_figure(series, chosen_epoch=best + 1)
        pictures.append(picture("curves", figure, "Loss of pooled training by epoch"))
    if pictures:
        yield Section(
            heading="How training went",
            paragraph="Fold 0; the tables of all folds are in the run folder.",
            pictures=tuple(pictures),
        )


def _rounds(path: Path) -> Figure:
    """Return the figure of one fold's rounds: the global model after each round."""
    table = [row for row in _read(path) if int(row["model"]) >= 1]
    models = sorted({int(row["model"]) for row in table})
    sites = sorted({row["site"] for row in table})
    found = {
        (row["site"], int(row["model"])): (float(row["select_loss"]), int(row["n_patients"]))
        for row in table
        if row["select_loss"]
    }
    losses = {
        site: [found.get((site, model), (math.nan, 0))[0] for model in models] for site in sites
    }
    means = []
    for model in models:
        votes = [found[site, model] for site in sites if (site, model) in found]
        total = sum(patients for _, patients in votes)
        means.append(sum(loss * patients for loss, patients in votes) / total)
    kept = next(int(row["model"]) for row in table if row["kept"] == "1")
    return rounds_figure(losses, means, chosen_round=models.index(kept) + 1)


def _heatmaps(run: RunFolder) -> Iterable[Section]:
    """Yield the heatmaps that `histofed explain` has made."""
    files = sorted(run.heatmaps.glob("*.png"))
    if files:
        yield Section(
            heading="Where the model looked",
            paragraph=f"{min(len(files), MAX_HEATMAPS)} of {counted(len(files), 'picture')}; all "
            "are in the run folder, and `histofed review` shows every slide at full resolution.",
            pictures=tuple(
                Picture(
                    png=file.read_bytes(),
                    alt=f"Slide {file.stem} and its heatmap",
                    how_to_read=HOW_TO_READ["heatmap"],
                )
                for file in files[:MAX_HEATMAPS]
            ),
        )


def _provenance(run: RunFolder, config: TrainConfig) -> dict[str, str]:
    stored = run.read()
    return {
        "made by": stored["software"],
        "command": stored["command"],
        "started": stored["started"],
        "commit": stored["commit"] or "installed package",
        "encoder": str(stored["inputs"]["encoder"]),
        "aggregator": str(config.aggregator["_target_"]).rpartition(".")[2],
        "folds": _folds(run, config),
        "python": stored["python"],
        "packages": ", ".join(f"{name} {version}" for name, version in stored["packages"].items()),
    }


def _folds(run: RunFolder, config: TrainConfig) -> str:
    """Return in words who was tested by which models."""
    n_folds = len(read_splits(run.splits))
    if source := run.read()["inputs"].get("models_of"):
        return f"none of these patients: each has the mean of the {n_folds} models of {source}"
    splits = config.splits
    made = {
        "patients": f"of patients, one tests, the next picks the checkpoint, seed {splits.seed}",
        "sites": "of whole hospitals, one tests, the next picks the checkpoint",
        "file": f"from {splits.file}",
    }[splits.scheme]
    chosen = f"; options chosen by {splits.inner_folds} inner folds" if config.choose else ""
    return f"{n_folds} ({made}){chosen}"


def _caveats(config: TrainConfig, run: RunFolder) -> tuple[str, ...]:
    caveats = ["For research only; not a medical device."]
    if config.cancer.name == "demo":
        caveats.append(
            "The cohort is synthetic: these numbers say that the software works, and "
            "nothing about any disease."
        )
    if run.read()["inputs"]["encoder"] == "efficientnet_lite0":
        caveats.append("The encoder knows everyday photographs, not pathology.")
    return tuple(caveats)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
