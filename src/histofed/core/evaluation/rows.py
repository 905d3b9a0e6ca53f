"""Predictions as arrays. Suffixes: P patients, K numbers of a label, V numbers of a prediction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histofed.core.metrics.inputs import Floats, Labels
    from histofed.core.types import Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What was found and what was predicted of some patients, a row each.

    Attributes
    ----------
    patients_P, sites_P, folds_P
        Who, where, and the fold whose model speaks.
    labels_PK
        As ``Task.label_names`` names them; NaN where not known.
    outputs_PV
        As ``Task.output_names`` names them; NaN where the model has none.
    """

    patients_P: NDArray[np.str_]
    sites_P: NDArray[np.str_]
    folds_P: Labels
    labels_PK: Floats
    outputs_PV: Floats

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> Rows:
        """Return predictions as arrays, in their order; there is at least one."""
        return cls(
            np.array([each.patient_id for each in predictions], dtype=np.str_),
            np.array([each.site for each in predictions], dtype=np.str_),
            np.array([each.fold for each in predictions], dtype=np.int64),
            np.array([each.label for each in predictions], dtype=np.float64),
            np.array([each.outputs for each in predictions], dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.patients_P)

    @property
    def label_P(self) -> Labels:
        """The class of each patient, of a task with one question."""
        return self.labels_PK[:, 0].astype(np.int64)

    @property
    def output_P(self) -> Floats:
        """The first number of each prediction: a probability, a risk."""
        return self.outputs_PV[:, 0]

    def together(self) -> Rows:
        """Return the same rows as of one fold."""
        return replace(self, folds_P=np.zeros_like(self.folds_P))

    def take(self, which: NDArray[np.bool_] | Labels) -> Rows:
        """Return some of the rows."""
        return Rows(
            self.patients_P[which],
            self.sites_P[which],
            self.folds_P[which],
            self.labels_PK[which],
            self.outputs_PV[which],
        )
