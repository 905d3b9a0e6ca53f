"""An arm of a run: one way of training, its predictions fold by fold, and how far to trust them.

What is written beside a prediction comes from the patients of its fold alone: the set of classes
that cannot be ruled out is calibrated on those who picked the checkpoint, and how unlike the
patient is, is measured against those trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.cohort import some
from histofed.core.metrics.conformal import calibrate_sets
from histofed.core.metrics.shift import N_NEIGHBOURS, trained_on
from histofed.core.tasks import ClassTask, SurvivalTask
from histofed.core.types import Prediction
from histofed.core.words import counted
from histofed.errors import WeightsError
from histofed.io.atomic import file_digest
from histofed.io.predictions import write_predictions
from histofed.io.runs import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from histofed.core.cohort import Cohort
    from histofed.core.metrics.inputs import Floats
    from histofed.core.tasks import Task
    from histofed.io.runs import RunFolder
    from histofed.pipeline.study import Study

Outputs = dict[str, tuple[float, ...]]
"""Patient -> the numbers that ``Task.output_names`` names."""

MISS = 0.1
"""Sets of classes miss the true one in at most this part of new patients."""


@dataclass
class Arm:
    """Predictions of one way of training, as its folds are done."""

    name: str
    task: Task
    cohort: Cohort
    run: RunFolder
    tested: list[Prediction] = field(default_factory=list)
    picked: list[Prediction] = field(default_factory=list)

    @classmethod
    def of(cls, study: Study, name: str) -> Arm:
        """Return an arm of a study, without predictions so far."""
        return cls(name, study.task, study.cohort, study.run)

    def add(
        self,
        number: int,
        *,
        tested: Outputs,
        picked: Sequence[Prediction],
        unlike: Mapping[str, float | None],
    ) -> None:
        """Add what a fold's model says of those whom it tests.

        Parameters
        ----------
        picked
            What it says of those it was picked on.
        unlike
            Of each one tested (see `ood`).

        Raises
        ------
        WeightsError
            The model diverged: it answers with something that is no finite number.
        """
        self._check_answers(number, {each.patient_id: each.outputs for each in picked} | tested)
        self.picked += picked
        found = predictions_of(self.cohort, number, tested)
        sets = possible_classes(self.task, picked, found)
        self.tested += [
            replace(each, possible=possible, ood=unlike[each.patient_id])
            for each, possible in zip(found, sets, strict=True)
        ]

    def _check_answers(self, number: int, outputs: Outputs) -> None:
        # Survival may be unsaid, but nobody is without a risk, which comes first.
        said = slice(1) if isinstance(self.task, SurvivalTask) else slice(None)
        odd = [who for who, values in outputs.items() if not np.isfinite(values[said]).all()]
        if odd:
            msg = (
                f"{self.name}, fold {number}: the model diverged: it answers {outputs[odd[0]][0]} "
                f"for {counted(len(odd), 'patient')} of {len(outputs)} ({some(odd)}); train again "
                "with a lower trainer.learning_rate, or trainer.precision=32-true"
            )
            raise WeightsError(msg)

    def write(self) -> None:
        """Write predictions, and the digests of the models that made them."""
        write_json(self._made_by, self._models())
        if self.picked:
            write_predictions(self.run.selection(self.name), self.picked, task=self.task)
        write_predictions(self.run.predictions(self.name), self.once_each(), task=self.task)

    def is_written(self) -> bool:
        """Whether the predictions of the models that are there now have been written."""
        written = self._made_by.is_file() and self.run.predictions(self.name).is_file()
        return written and read_json(self._made_by) == self._models()

    @property
    def _made_by(self) -> Path:
        return self.run.path / self.name / "models.json"

    def _models(self) -> dict[str, str]:
        files = sorted((self.run.path / self.name).glob("fold-*/model.safetensors"))
        return {file.parent.name: file_digest(file) for file in files}

    def once_each(self) -> list[Prediction]:
        """Return one prediction of every patient tested, in the order of the cohort.

        Who is tested by several folds (an external cohort) gets the mean of their outputs, and
        every class that one of them could not rule out.
        """
        several: dict[str, list[Prediction]] = {}
        for each in self.tested:
            several.setdefault(each.patient_id, []).append(each)
        return [_mean(several[patient]) for patient in self.cohort.patients if patient in several]


def predictions_of(cohort: Cohort, number: int, outputs: Outputs) -> list[Prediction]:
    """Return what a fold's model says of patients, with what the table says."""
    return [
        Prediction(
            patient_id=patient,
            site=cohort.site_of[patient],
            fold=number,
            label=cohort.labels[patient],
            outputs=values,
        )
        for patient, values in outputs.items()
    ]


def possible_classes(
    task: Task, picked: Sequence[Prediction], found: Sequence[Prediction]
) -> list[tuple[int, ...] | None]:
    """Return the classes that cannot be ruled out of each patient; None without classes."""
    if not isinstance(task, ClassTask) or not picked or not found:
        return [None] * len(found)
    labels = [int(each.label[0]) for each in picked]
    sets = calibrate_sets(labels, class_probabilities(picked), miss=MISS)
    held_PC = sets.of(class_probabilities(found))
    return [tuple(np.flatnonzero(row).tolist()) for row in held_PC]


def class_probabilities(predictions: Sequence[Prediction]) -> Floats:
    """Return a column per class, of a task with one or several outputs, ``(P, C)``."""
    found = np.array([each.outputs for each in predictions], dtype=np.float64)
    return np.hstack([1 - found, found]) if found.shape[1] == 1 else found


def ood(trained: Mapping[str, Floats], tested: Mapping[str, Floats]) -> dict[str, float | None]:
    """Return how many in a hundred patients trained on are more usual than each one tested.

    Parameters
    ----------
    trained, tested
        Patient -> mean of the patient's features, ``(D,)``.

    Returns
    -------
    unlike
        Patient -> 0..100; None where too few were trained on to tell what is usual.
    """
    if len(trained) <= N_NEIGHBOURS or not tested:
        return dict.fromkeys(tested)
    usual = trained_on(np.stack(list(trained.values())))
    found = usual.percentile(np.stack(list(tested.values())))
    return dict(zip(tested, found.tolist(), strict=True))


def _mean(several: Sequence[Prediction]) -> Prediction:
    first = several[0]
    if len(several) == 1:
        return first
    sets = [each.possible for each in several if each.possible is not None]
    unlike = [each.ood for each in several if each.ood is not None]
    return replace(
        first,
        outputs=tuple(np.mean([each.outputs for each in several], axis=0).tolist()),
        possible=tuple(sorted(set().union(*sets))) if sets else None,
        ood=float(np.mean(unlike)) if unlike else None,
    )
