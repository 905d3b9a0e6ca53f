"""``histofed review``: the pathologist's page of a run, on this machine."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.core.tasks import BinaryTask
from histofed.errors import ReviewError
from histofed.io.predictions import read_predictions
from histofed.io.runs import RunFolder
from histofed.io.store import ScoreStore
from histofed.pipeline import terminal
from histofed.pipeline.asking import task_of
from histofed.pipeline.study import chosen_arm, stored_cohort, stored_config
from histofed.review.app import create_app
from histofed.review.data import Case, ReviewData
from histofed.review.serve import serve

if TYPE_CHECKING:
    from histofed.pipeline.schema import ReviewConfig


def run(config: ReviewConfig) -> int:
    """Serve until interrupted; return the exit code."""
    app = create_app(review_data(RunFolder(Path(config.run)), config.arm))

    def opened(address: str) -> None:
        facts = {"page": address, "stop": "Ctrl-C"}
        terminal.closing("review", facts, next_command=f"open {address} in a browser")

    serve(app, host=config.host, port=config.port, on_start=opened)
    return 0


def review_data(run: RunFolder, arm: str | None) -> ReviewData:
    """Return what the page shows: the predictions of one arm, slides and scores.

    Raises
    ------
    ConfigError
        The run has no such arm.
    ReviewError
        The run has no scores, or its bags came without slides.
    """
    arm = chosen_arm(run, arm)
    config = stored_config(run)
    task = task_of(config.task)
    if not isinstance(task, BinaryTask):
        msg = (
            f"{run.path}: the review page shows binary tasks, this one is {task.kind}; its scores "
            "and heatmaps are in the run folder"
        )
        raise ReviewError(msg)
    cohort, _ = stored_cohort(run)
    scores = ScoreStore(run.scores)
    if not scores.slide_ids():
        msg = f"{run.path} has no scores to show; make them with `histofed explain run={run.path}`"
        raise ReviewError(msg)
    known = run.model_digests(arm)
    for slide_id in scores.slide_ids():
        if scores.read(slide_id).model_digest not in known:
            msg = (
                f"{run.path}: the scores of slide {slide_id} were not made by arm {arm}; make them "
                f"with `histofed explain run={run.path} arm={arm}`"
            )
            raise ReviewError(msg)
    return ReviewData(
        title=config.cancer.title,
        question=config.task.sense,
        positive=task.classes[1],
        cases=tuple(
            Case(
                patient_id=prediction.patient_id,
                site=prediction.site,
                label=None if math.isnan(prediction.label[0]) else task.in_words(prediction.label),
                probability=prediction.outputs[0],
                slide_ids=tuple(s.slide_id for s in cohort.slides_of(prediction.patient_id)),
            )
            for prediction in read_predictions(run.predictions(arm), task=task)
        ),
        slides={slide.slide_id: slide for slide in cohort.slides},
        scores=scores,
    )
