"""How far an arm's predictions can be trusted, and where they cannot. Suffix: P patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.evaluation.arms import by_value
from histofed.core.metrics.conformal import Coverage, coverage_by_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.evaluation.base import Measures, Resampling, Result
    from histofed.core.evaluation.rows import Rows
    from histofed.core.types import Prediction

LOOK_TWICE = 99.0
"""A patient more unusual than this percentage of those trained on."""

USUAL, UNUSUAL, NOT_ASKED = "like those trained on", "look twice", "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Where to trust an arm.

    Attributes
    ----------
    coverage
        How often the sets of classes hold the true one: of all patients, then of each site. Empty
        for a task without classes, and for an arm that had nobody to calibrate with.
    unlike
        Patients `USUAL` and `UNUSUAL` (above 99 in a hundred of those trained on), each with their
        numbers; `NOT_ASKED` where too few were trained on to tell.
    """

    coverage: tuple[Coverage, ...]
    unlike: dict[str, Result]


def trust(
    measures: Measures, rows: Rows, predictions: Sequence[Prediction], how: Resampling
) -> Trust:
    """Return how far predictions can be trusted; ``rows`` are the same ones as arrays."""
    ood_P = np.array([np.nan if p.ood is None else p.ood for p in predictions])
    kind_P = np.where(np.isnan(ood_P), NOT_ASKED, np.where(ood_P >= LOOK_TWICE, UNUSUAL, USUAL))
    return Trust(
        coverage=tuple(_coverage(rows, predictions)),
        unlike=by_value(measures, rows, kind_P, how),
    )


def _coverage(rows: Rows, predictions: Sequence[Prediction]) -> list[Coverage]:
    has = np.array([each.possible is not None for each in predictions])
    if not has.any():
        return []
    kept = rows.take(has)
    n_classes = max(kept.outputs_PV.shape[1], 2)  # a binary task has one output and two classes
    sets_PC = np.zeros((len(kept), n_classes), dtype=np.bool_)
    known = [each.possible for each in predictions if each.possible is not None]
    for number, possible in enumerate(known):
        sets_PC[number, list(possible)] = True
    labels = kept.label_P
    return [
        *coverage_by_group(sets_PC, labels, np.full(len(kept), "all")),
        *coverage_by_group(sets_PC, labels, kept.sites_P),
    ]
