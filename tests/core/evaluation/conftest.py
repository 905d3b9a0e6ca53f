"""Predictions of a few invented patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from histofed.core.evaluation.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., Rows]:
    """Return the maker of rows; one column where one is given."""

    def make(labels, outputs, *, folds=None, sites=None) -> Rows:
        labels, outputs = np.asarray(labels, dtype=float), np.asarray(outputs, dtype=float)
        n = len(labels)
        return Rows(
            np.array([f"p{i}" for i in range(n)]),
            np.full(n, "A") if sites is None else np.asarray(sites),
            np.zeros(n, dtype=np.int64) if folds is None else np.asarray(folds),
            labels.reshape(n, -1),
            outputs.reshape(n, -1),
        )

    return make


@pytest.fixture(scope="session")
def each_draw() -> Callable[..., None]:
    """Return the check that a metric of all resamples at once is its definition on each."""

    def check(metric, rows: Rows, counts_RP) -> None:
        found = metric.draws(rows, np.asarray(counts_RP, dtype=float))
        for value, counts in zip(found, counts_RP, strict=True):
            resample = rows.take(np.repeat(np.arange(len(rows)), np.asarray(counts, dtype=int)))
            assert value == pytest.approx(metric.of(resample), abs=1e-9), metric.name

    return check
