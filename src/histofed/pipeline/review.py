"""``histofed review``: the pathologist's page of a run."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.core.evaluation.triage import triage
from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.errors import ReviewError
from histofed.io.clinical import read_cells
from histofed.io.predictions import read_predictions
from histofed.io.runs import RunFolder
from histofed.io.store import ScoreStore
from histofed.pipeline import terminal
from histofed.pipeline.asking import task_of
from histofed.pipeline.predicted import read_selection
from histofed.pipeline.study import chosen_arm, stored_cohort, stored_config, stored_table
from histofed.review.access import Access
from histofed.review.app import create_app
from histofed.review.data import Case, Output, ReviewData
from histofed.review.serve import serve
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.evaluation.triage import Triage
    from histofed.core.tasks import Task
    from histofed.core.types import Prediction
    from histofed.pipeline.schema import ReviewConfig, TrainConfig


def run(config: ReviewConfig) -> int:
    """Serve until interrupted; return the exit code."""
    folder = RunFolder(Path(config.run))
    access = Access(config.access, tuple(config.proxies))
    site = review_data(folder, config.arm)
    store = ReviewStore(reviews_path(folder, config.reviews))
    app = create_app(site, store, access=access, prefix=config.prefix)

    def opened(address: str) -> None:
        facts = {"page": address, "verdicts": str(store.path), "stop": "Ctrl-C"}
        terminal.closing("review", facts, next_command=f"open {address} in a browser")

    serve(app, host=config.host, port=config.port, access=access, on_start=opened)
    return 0


def reviews_path(run: RunFolder, reviews: str | None) -> Path:
    """Return where the verdicts of a run are."""
    return run.path / "reviews.sqlite" if reviews is None else Path(reviews)


def review_data(run: RunFolder, arm: str | None) -> ReviewData:
    """Return what the page shows: the predictions of one arm, slides and scores.

    Raises
    ------
    ConfigError
        The run has no such arm.
    ReviewError
        The run has no scores, or the arm no models that could have made them.
    """
    arm = chosen_arm(run, arm)
    config = stored_config(run)
    task = task_of(config.task)
    cohort, _ = stored_cohort(run)
    scores = ScoreStore(run.scores)
    if not scores.slide_ids():
        msg = f"{run.path} has no scores to show; make them with `histofed explain run={run.path}`"
        raise ReviewError(msg)
    predictions = read_predictions(run.predictions(arm), task=task)
    slides_of: dict[str, list[str]] = {}
    for slide in cohort.slides:
        slides_of.setdefault(slide.patient_id, []).append(slide.slide_id)
    cells_of = _clinical(run, config, [each.patient_id for each in predictions])
    said = triage(task, predictions, read_selection(run, arm, task))
    said_nothing = _folds_without_sets(task, predictions)
    models = run.model_digests(arm)
    if not models:
        msg = (
            f"{run.path}: arm {arm} keeps no model that could score a tile; show another (arm=...)"
        )
        raise ReviewError(msg)
    return ReviewData(
        title=config.cancer.title,
        question=config.task.sense,
        kind=task.kind,
        outputs=outputs_in_words(task),
        positive=task.classes[1] if isinstance(task, BinaryTask) else None,
        cases=tuple(
            _case(
                task,
                replace(each, possible=None) if each.fold in said_nothing else each,
                found,
                slides_of[each.patient_id],
                cells_of.get(each.patient_id, ()),
            )
            for each, found in zip(predictions, said, strict=True)
        ),
        slides={slide.slide_id: slide for slide in cohort.slides},
        scores=scores,
        models=frozenset(models),
        arm=arm,
        model_digest=hashlib.sha256("\n".join(sorted(models)).encode()).hexdigest(),
    )


def outputs_in_words(task: Task) -> tuple[Output, ...]:
    """Return what each number of a prediction means."""
    if isinstance(task, BinaryTask):
        words = [f"chance of {task.classes[1]}"]
    elif isinstance(task, MulticlassTask):
        words = [f"chance of {name}" for name in task.classes]
    elif isinstance(task, MultilabelTask):
        words = [f"chance of {name}" for name in task.questions]
    elif isinstance(task, RegressionTask):
        words = [f"{name} {task.unit}".strip() for name in task.quantities]
    else:
        assert isinstance(task, SurvivalTask)
        words = ["risk", *(f"no event until {time:g} {task.unit}" for time in task.times)]
    return tuple(Output(*each) for each in zip(task.output_names, words, strict=True))


def _folds_without_sets(task: Task, predictions: Sequence[Prediction]) -> set[int]:
    """Return the folds in which nothing was ruled out for anybody.

    Too few patients were calibrated on there: "cannot decide" would be said of the model where it
    is true of the calibration.
    """
    if not isinstance(task, BinaryTask | MulticlassTask):
        return set()
    told = {
        each.fold
        for each in predictions
        if each.possible is not None and len(each.possible) < len(task.classes)
    }
    return {each.fold for each in predictions} - told


def _case(
    task: Task,
    prediction: Prediction,
    said: Triage,
    slide_ids: Sequence[str],
    clinical: Sequence[tuple[str, str]],
) -> Case:
    known = not all(map(math.isnan, prediction.label))
    possible = prediction.possible
    classes = task.classes if isinstance(task, BinaryTask | MulticlassTask) else ()
    return Case(
        patient_id=prediction.patient_id,
        site=prediction.site,
        label=task.in_words(prediction.label) if known else None,
        outputs=prediction.outputs,
        slide_ids=tuple(slide_ids),
        intervals=said.intervals,
        possible=None if possible is None else tuple(classes[number] for number in possible),
        unusual=None if prediction.ood is None else prediction.ood / 100,
        discordant=said.discordant,
        against=said.against,
        uncertainty=said.uncertainty,
        clinical=tuple(clinical),
    )


def _clinical(
    run: RunFolder, config: TrainConfig, patients: Sequence[str]
) -> dict[str, list[tuple[str, str]]]:
    """Return ``patient_id`` -> names and values of the clinical columns that the run knows of."""
    columns = list(config.clinical.columns or ())
    if not columns:
        return {}
    cells_of = read_cells(stored_table(run), columns, set(patients))
    return {patient: list(zip(columns, cells, strict=True)) for patient, cells in cells_of.items()}
