"""Run folder -> figures and ``report.html``: whatever the run has by now."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

from histofed.core.metrics import auprc, auroc, bootstrap
from histofed.core.words import counted
from histofed.io.atomic import atomic_path
from histofed.io.runs import LOCAL
from histofed.pipeline.study import stored_config
from histofed.report.figures import (
    NamedPredictions,
    calibration_figure,
    pr_figure,
    roc_figure,
    site_figure,
)
from histofed.report.html import write_report
from histofed.report.model import HOW_TO_READ, Picture, Report, Section
from histofed.report.style import png_bytes
from histofed.report.training import curves_figure, rounds_figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from histofed.core.types import Prediction
    from histofed.io.runs import RunFolder
    from histofed.pipeline.schema import TrainConfig
    from histofed.report.model import ArmSummary, SiteResult

MAX_HEATMAPS = 6
"""More pictures than this make the page slow; all are in the run folder."""


def make_report(
    run: RunFolder,
    *,
    arms: dict[str, list[Prediction]],
    summary: Sequence[ArmSummary],
    sites: Sequence[SiteResult],
) -> None:
    """Write every figure and the report."""
    config = stored_config(run)
    main = next(iter(arms))
    shown = {arm: found for arm, found in arms.items() if not arm.startswith(LOCAL)} or arms
    sections = [
        _discrimination(run, shown, main),
        _by_site(run, [row for row in sites if row.arm in shown]),
        _calibration(run, shown[main], main),
        *_training(run),
        *_heatmaps(run),
    ]
    write_report(
        run.report,
        Report(
            title=f"{config.cancer.title}: {config.task.name}",
            subtitle=config.task.sense,
            summary=tuple(summary),
            sites=tuple(row for row in sites if row.arm in shown),
            sections=tuple(sections),
            provenance=_provenance(run, config),
            caveats=_caveats(config, run),
        ),
    )


def _discrimination(run: RunFolder, arms: dict[str, list[Prediction]], main: str) -> Section:
    def named(metric: Any) -> list[NamedPredictions]:
        curves = []
        for arm, predictions in arms.items():
            labels = [int(prediction.label[0]) for prediction in predictions]
            values = [prediction.outputs[0] for prediction in predictions]
            curves.append(NamedPredictions(arm, labels, values, bootstrap(metric, labels, values)))
        return curves

    return Section(
        heading="How well patients are told apart",
        paragraph="Every patient was predicted by a model that was neither trained nor picked on "
        "that patient.",
        pictures=(
            _picture(run, "roc", roc_figure(named(auroc), main=main), "ROC curves"),
            _picture(run, "pr", pr_figure(named(auprc), main=main), "Precision-recall curves"),
        ),
    )


def _by_site(run: RunFolder, results: Sequence[SiteResult]) -> Section:
    return Section(
        heading="Hospital by hospital",
        paragraph="A model that learned to tell hospitals apart by their stain would look good "
        "overall and be at 0.5 within each hospital.",
        pictures=(_picture(run, "sites", site_figure(results), "AUROC in each hospital"),),
    )


def _calibration(run: RunFolder, predictions: Sequence[Prediction], arm: str) -> Section:
    figure = calibration_figure(
        [int(prediction.label[0]) for prediction in predictions],
        [prediction.outputs[0] for prediction in predictions],
        name=arm,
    )
    return Section(
        heading="Whether a probability means what it says",
        paragraph=f"The {arm} model's probabilities against what was found.",
        pictures=(_picture(run, "calibration", figure, "Calibration"),),
    )


def _training(run: RunFolder) -> Iterable[Section]:
    """Yield the training figures of the first fold, where they exist."""
    pictures = []
    if (rounds := run.fold("federated", 0) / "rounds.csv").exists():
        figure = _rounds(rounds)
        pictures.append(_picture(run, "rounds", figure, "Loss of each hospital, round by round"))
    if (curves := run.fold("pooled", 0) / "curves.csv").exists():
        table = _read(curves)
        series = {
            "training": [float(row["train_loss"]) for row in table],
            "selection": [float(row["select_loss"]) for row in table],
        }
        best = min(range(len(table)), key=lambda index: series["selection"][index])
        figure = curves_figure(series, chosen_epoch=best + 1)
        pictures.append(_picture(run, "curves", figure, "Loss of pooled training by epoch"))
    if pictures:
        yield Section(
            heading="How training went",
            paragraph="The first fold; the tables of all folds are in the run folder.",
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


def _picture(run: RunFolder, name: str, figure: Figure, alt: str) -> Picture:
    png = png_bytes(figure)
    with atomic_path(run.figures / f"{name}.png") as path:
        path.write_bytes(png)
    return Picture(png=png, alt=alt, how_to_read=HOW_TO_READ[name])


def _provenance(run: RunFolder, config: TrainConfig) -> dict[str, str]:
    stored = run.read()
    return {
        "made by": stored["software"],
        "command": stored["command"],
        "started": stored["started"],
        "commit": stored["commit"] or "installed package",
        "encoder": str(stored["inputs"]["encoder"]),
        "aggregator": str(config.aggregator["_target_"]).rpartition(".")[2],
        "folds": f"{config.splits.n_folds} (one tests, the next picks the checkpoint), "
        f"seed {config.splits.seed}",
        "python": stored["python"],
        "packages": ", ".join(f"{name} {version}" for name, version in stored["packages"].items()),
    }


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
