"""``histofed demo``: the whole way on a synthetic cohort, through the same verbs as real work."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.words import counted
from histofed.io.runs import RunFolder, read_json, write_json
from histofed.io.store import ScoreStore
from histofed.io.tables import read_slides
from histofed.pipeline import terminal
from histofed.pipeline.config import compose, to_object
from histofed.pipeline.explain import lesion_aurocs
from histofed.synth import LESION_MPP, CohortSpec, make_cohort
from histofed.synth.patients import draw_patients

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.pipeline.schema import DemoConfig


def run(config: DemoConfig) -> int:
    """Run the main job on the embedded cohort; return the exit code."""
    run_folder = RunFolder(Path(config.run))
    cohort_folder = run_folder.path / "cohort"
    cohort, work = cohort_folder / "cohort.csv", run_folder.path / "work"
    masks = cohort_folder / "masks"
    slides = [f"cohort={cohort}", f"work={work}"]
    here = [f"run={run_folder.path}"]
    training = [*slides, *here, "overwrite=true", f"seed={config.seed}", *_smaller(config)]
    stages: dict[str, Callable[[], int]] = {
        "synthesise": lambda: _synthesise(cohort_folder, config),
        "tile": lambda: _verb("tile", slides),
        "extract": lambda: _verb("extract", slides),
        "federate": lambda: _verb("federate", training),
        "explain": lambda: _verb("explain", [*here, f"masks={masks}", f"masks_mpp={LESION_MPP}"]),
    }
    seconds: dict[str, float] = {}
    for name, stage in stages.items():
        started = time.monotonic()
        terminal.console.rule(f"[bold]{name}", align="left")
        with terminal.inside_another_verb():
            code = stage()
        if code:
            return code
        seconds[name] = round(time.monotonic() - started, 1)
    summary = _summary(run_folder, cohort, masks=masks, seconds=seconds)
    write_json(run_folder.summary, summary)
    _show(run_folder, summary)
    return 0


def _synthesise(folder: Path, config: DemoConfig) -> int:
    spec = CohortSpec.small(config.seed) if config.small else CohortSpec(seed=config.seed)
    n_slides = sum(len(patient.plans) for patient in draw_patients(spec))
    made = 0
    with terminal.stage("Slides", n_slides, unit="slides") as step:

        def on_slide(done: int, total: int) -> None:
            nonlocal made
            made = done
            step()

        make_cohort(folder, spec, on_slide=on_slide)
        step(n_slides - made, note="kept from an earlier run")
    return 0


def _verb(verb: str, overrides: list[str]) -> int:
    module = importlib.import_module(f"histofed.pipeline.{verb}")
    code: int = module.run(to_object(compose(verb, overrides)))
    return code


def _smaller(config: DemoConfig) -> list[str]:
    return (
        ["splits.n_folds=4", "federation.rounds=5", "trainer.max_epochs=5"] if config.small else []
    )


def _summary(
    run: RunFolder, cohort: Path, *, masks: Path, seconds: dict[str, float]
) -> dict[str, Any]:
    """Return the headline numbers, all read back from the files of the run."""
    metrics = read_json(run.metrics)
    found = lesion_aurocs(
        read_slides(cohort),
        scores=ScoreStore(run.scores),
        masks=str(masks),
        masks_mpp=LESION_MPP,
        head="attention",
    )
    return {
        "auroc": {
            # None in the small cohort: hospitals of four patients cannot train alone.
            "local_mean": metrics["local_mean"] and metrics["local_mean"]["auroc"],
            "federated": metrics["arms"]["federated"]["auroc"],
            "pooled": metrics["arms"]["pooled"]["auroc"],
        },
        "lesion_auroc": float(np.mean(list(found.values()))),
        "lesion_slides": len(found),
        "seconds": seconds,
    }


def _show(run: RunFolder, summary: dict[str, Any]) -> None:
    words = {"local_mean": "local-only (mean of hospitals)", "federated": "federated",
             "pooled": "pooled"}  # fmt: skip
    terminal.table(
        "Patient-level AUROC, held-out patients",
        ("trained", "AUROC", "95% interval"),
        [
            (words[arm], f"{found['value']:.3f}", f"{found['low']:.3f} to {found['high']:.3f}")
            if found
            else (words[arm], "too few patients", "")
            for arm, found in summary["auroc"].items()
        ],
    )
    picture = next(iter(sorted(run.heatmaps.glob("*.png"))), run.heatmaps)
    facts = {
        "lesion": f"attention finds the planted lesion with AUROC {summary['lesion_auroc']:.3f} "
        f"({counted(summary['lesion_slides'], 'slide')})",
        "report": str(run.report),
        "heatmap": str(picture),
        "run": str(run.path),
        "time": f"{sum(summary['seconds'].values()):.0f} s",
    }
    terminal.closing("demo", facts, next_command=f"histofed review run={run.path}")
