"""Which patients deserve a look first: how undecided a prediction is, and what it speaks against.

Nothing is said where nothing honest can be: a Cox model's risk has no uncertainty, a regression's
is the same for everybody of a fold, and intervals need patients who picked the checkpoint.

Array suffixes: P patients, V numbers of a prediction.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from histofed.core.metrics.conformal import half_width
from histofed.core.metrics.venn_abers import venn_abers
from histofed.core.tasks import (
    BinaryTask,
    ClassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.evaluation.picked import Picked
    from histofed.core.metrics.inputs import Floats
    from histofed.core.tasks import Task
    from histofed.core.types import Prediction

Ends: TypeAlias = Mapping[str, tuple[float, float]]

MISS = 0.1
"""Intervals of numbers miss the true one in at most this part of new patients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """What a prediction says of itself and of the label.

    Attributes
    ----------
    uncertainty
        0 sure, 1 undecided, or None: one minus the lead of the most probable answer over the next;
        of several questions the mean; of survival that of the last time asked.
    against
        How strongly the prediction speaks against what is known, 0..1, or None.
    discordant
        Whether it does: another answer is more probable, the number lies outside its interval, or
        most comparable patients are in the wrong order.
    intervals
        Output's name -> low and high.
    """

    uncertainty: float | None = None
    against: float | None = None
    discordant: bool | None = None
    intervals: Ends = field(default_factory=dict)


def triage(task: Task, predictions: Sequence[Prediction], picked: Picked | None) -> list[Triage]:
    """Return what is to be said of each prediction.

    Parameters
    ----------
    picked
        Predictions of the patients that picked the checkpoints; None for an arm that picks none.
    """
    if not predictions:
        return []
    intervals = _intervals(task, predictions, picked)
    if isinstance(task, SurvivalTask):
        against = _misordered(predictions)
    elif isinstance(task, RegressionTask):
        against = [
            _outside(task, each, ends) for each, ends in zip(predictions, intervals, strict=True)
        ]
    else:
        against = [_improbable(task, each) for each in predictions]
    return [
        Triage(
            uncertainty=_uncertainty(task, each),
            against=wrong,
            discordant=None if wrong is None else wrong > 0.5,
            intervals=ends,
        )
        for each, wrong, ends in zip(predictions, against, intervals, strict=True)
    ]


def _uncertainty(task: Task, prediction: Prediction) -> float | None:
    outputs = np.array(prediction.outputs)
    if isinstance(task, SurvivalTask):
        outputs = outputs[-1:]  # the last time asked, if the model tells it
    elif isinstance(task, RegressionTask):
        return None
    elif isinstance(task, ClassTask) and len(outputs) > 1:
        low, high = np.sort(outputs)[-2:]
        return float(1 - (high - low))
    known = outputs[np.isfinite(outputs)]
    return float(1 - np.abs(2 * known - 1).mean()) if len(known) else None


def _improbable(task: Task, prediction: Prediction) -> float | None:
    """Return how improbable what is known was; of several answers the most improbable."""
    known = [
        (number, int(value))
        for number, value in enumerate(prediction.label)
        if not math.isnan(value)
    ]
    if not known:
        return None
    if isinstance(task, ClassTask) and len(prediction.outputs) > 1:
        lead = prediction.outputs[known[0][1]]
        other = max(p for c, p in enumerate(prediction.outputs) if c != known[0][1])
        # Half where the two are as probable, so that one rule serves every kind.
        return (1 + other - lead) / 2
    return max(abs(value - prediction.outputs[number]) for number, value in known)


def _outside(task: RegressionTask, prediction: Prediction, ends: Ends) -> float | None:
    """Return the share of its interval's width by which a number is missed: half is its end."""
    missed = []
    for name, value, label in zip(
        task.output_names, prediction.outputs, prediction.label, strict=True
    ):
        if name in ends and not math.isnan(label):
            half = ends[name][1] - value
            off = abs(label - value)
            missed.append(off / (off + half) if off else 0.0)
    return max(missed) if missed else None


def _misordered(predictions: Sequence[Prediction]) -> list[float | None]:
    """Return the part of each patient's comparable pairs that are in the wrong order.

    Pairs are those of Harrell's C within a fold, because risks of two models do not compare; equal
    risks count one half.
    """
    found: list[float | None] = [None] * len(predictions)
    known = [i for i, each in enumerate(predictions) if not math.isnan(each.label[0])]
    for fold in Counter(predictions[i].fold for i in known):
        rows = [i for i in known if predictions[i].fold == fold]
        times = np.array([predictions[i].label[0] for i in rows])
        events = np.array([predictions[i].label[1] == 1 for i in rows])
        risks = np.array([predictions[i].outputs[0] for i in rows])
        for place, i in enumerate(rows):
            found[i] = _wrong(times, events, risks, place)
    return found


def _wrong(
    times: Floats, events: np.ndarray[tuple[int], np.dtype[np.bool_]], risks: Floats, place: int
) -> float | None:
    time, event, risk = times[place], events[place], risks[place]
    outlived_by = ((times > time) | ((times == time) & ~events)) & event
    outlived = events & ((times < time) | ((times == time) & (not event)))
    n_pairs = int(outlived_by.sum() + outlived.sum())
    if n_pairs == 0:
        return None
    wrong = (outlived_by & (risks > risk)) | (outlived & (risks < risk))
    tied = (outlived_by | outlived) & (risks == risk)
    return float((wrong.sum() + tied.sum() / 2) / n_pairs)


def _intervals(task: Task, predictions: Sequence[Prediction], picked: Picked | None) -> list[Ends]:
    """Return the interval of each number, by those who picked the checkpoint of its fold.

    A prediction that is the mean of several models has what all their intervals hold.
    """
    asks = isinstance(task, BinaryTask | MultilabelTask | RegressionTask)
    found: list[dict[str, tuple[float, float]]] = [{} for _ in predictions]
    if picked is None or not asks:
        return list(found)
    for fold in Counter(each.fold for each in predictions):
        rows = [i for i, each in enumerate(predictions) if each.fold == fold]
        for number, name in enumerate(task.output_names):
            asked = np.array([predictions[i].outputs[number] for i in rows])
            several = [
                _ends(task, picked, each, number, asked)
                for each in picked.means_of.get(fold, (fold,))
            ]
            if not several or any(each is None for each in several):
                continue
            ends_MP2 = np.array(several)
            lows, highs = ends_MP2[..., 0].min(axis=0), ends_MP2[..., 1].max(axis=0)
            for i, low, high in zip(rows, lows.tolist(), highs.tolist(), strict=True):
                found[i][name] = (low, high)
    return list(found)


def _ends(task: Task, picked: Picked, fold: int, number: int, asked_P: Floats) -> Floats | None:
    """Return low and high of predictions, ``(P, 2)``; None where a fold has too few to tell."""
    rows = picked.rows.take(picked.rows.folds_P == fold)
    labels, outputs = rows.labels_PK[:, number], rows.outputs_PV[:, number]
    known = np.isfinite(labels) & np.isfinite(outputs)
    labels, outputs = labels[known], outputs[known]
    if isinstance(task, RegressionTask):
        half = half_width(labels, outputs, miss=MISS)
        ends = np.stack([asked_P - half, asked_P + half], axis=1)
        return ends if math.isfinite(half) else None
    if len(np.unique(labels)) < 2:
        return None
    return venn_abers(labels.astype(np.int64), outputs, asked_P)
