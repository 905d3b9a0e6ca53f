"""What a model learns of the training patients before it is trained: sums, hospital by hospital.

Features are standardised and classes weighed with these. Nothing of a patient is in them, and those
of all hospitals are the same numbers whether they were added in one process or over a network: the
order of adding is that of the hospitals' names.
"""

from __future__ import annotations

import statistics
from functools import reduce
from typing import TYPE_CHECKING

import torch

from histofed.federation.gate import infinite_in
from histofed.federation.limits import MAX_PATIENTS
from histofed.federation.state import first_mismatch
from histofed.mil.moments import Moments, total
from histofed.pipeline import build

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from torch import Tensor

    from histofed.core.splits import Fold
    from histofed.core.tasks import Task
    from histofed.mil.objectives.base import Sums
    from histofed.pipeline.schema import TrainConfig
    from histofed.pipeline.study import Study


MAX_TILES = 1_000_000
"""Of a patient; a large slide has a tenth of that at 0.25 micrometres per pixel."""

MAX_RATIO = 100
"""Times that a hospital's features are larger than the median one's: scanners move them less."""


def sums_by_site(study: Study, fold: Fold, patients: Collection[str]) -> dict[str, Sums]:
    """Return each hospital's sums over its training patients among ``patients``."""
    found = {}
    for site in sorted({study.cohort.site_of[patient] for patient in fold.train}):
        trained = [p for p in fold.train if p in patients and study.cohort.site_of[p] == site]
        if trained:
            found[site] = _sums(study, trained)
    return found


def add_up(sums: Mapping[str, Sums]) -> Sums:
    """Return the sums over all hospitals."""
    return reduce(_added, (sums[site] for site in sorted(sums)))


def faults_in(sums: Mapping[str, Sums], like: Sums) -> dict[str, str]:
    """Return hospital -> why its sums cannot be those of patients.

    The model that all start from is standardised with them, so one hospital's NaN, or one number
    for a thousand, would spoil it for everybody.

    Parameters
    ----------
    like
        Sums of the names, shapes and dtypes that all must have.
    """
    found = {site: _fault(each, like) for site, each in sums.items()}
    found.update(_out_of_proportion({site: sums[site] for site in sums if not found[site]}))
    return {site: fault for site, fault in sorted(found.items()) if fault}


def moments_in(sums: Sums) -> Moments:
    """Return the part that features are standardised with."""
    return Moments(int(sums["n_tiles"]), sums["sum_D"], sums["square_sum_D"])


def _sums(study: Study, patients: Iterable[str]) -> Sums:
    patients = list(patients)
    moments = total(study.moments[patient] for patient in patients)
    target_PK = torch.tensor([study.cohort.labels[patient] for patient in patients])
    return _named(moments, build.objective(study.task, study.config.trainer).sums(target_PK))


def sums_of_nobody(config: TrainConfig, task: Task, *, dim: int) -> Sums:
    """Return what sums over no patient are: the names and shapes of everybody's."""
    nothing_D = torch.zeros(dim, dtype=torch.float64)
    target_PK = torch.zeros(0, len(task.label_names))
    return _named(
        Moments(0, nothing_D, nothing_D), build.objective(task, config.trainer).sums(target_PK)
    )


def _named(moments: Moments, labels: Sums) -> Sums:
    return {
        "n_tiles": torch.tensor(float(moments.n_tiles), dtype=torch.float64),
        "sum_D": moments.sum_D,
        "square_sum_D": moments.square_sum_D,
        **{f"label_{name}": value for name, value in labels.items()},
    }


def _added(one: Sums, other: Sums) -> Sums:
    return {name: value + other[name] for name, value in one.items()}


def _fault(sums: Sums, like: Sums) -> str | None:
    if fault := first_mismatch(sums, like) or infinite_in(sums):
        return fault
    n_patients, n_tiles = float(sums["label_n_patients"]), float(sums["n_tiles"])
    if not (n_patients.is_integer() and 1 <= n_patients <= MAX_PATIENTS):
        return f"n_patients must be a whole number in 1..{MAX_PATIENTS}, found {n_patients:g}"
    if not (n_tiles.is_integer() and n_patients <= n_tiles <= MAX_TILES * n_patients):
        return f"n_tiles must be 1..{MAX_TILES} for each patient, found {n_tiles:g} tiles"
    for name in ("label_class_count_G", "label_known_K"):
        if name in sums and not bool(((sums[name] >= 0) & (sums[name] <= n_patients)).all()):
            return f"{name} must be in 0..n_patients ({n_patients:g}), found {sums[name].tolist()}"
    for n, summed, squares in (
        ("n_tiles", "sum_D", "square_sum_D"),
        ("label_known_K", "label_sum_K", "label_square_sum_K"),
    ):
        # The mean of squares is no smaller than the square of the mean (Cauchy and Schwarz).
        if n in sums and bool((sums[summed].abs() > _most(sums[n], sums[squares])).any()):
            return f"{squares} must be at least {summed} squared over {n}"
    return None


def _most(n: Tensor, squares: Tensor) -> Tensor:
    """Return how large a sum may be, but for rounding; less than any where squares are negative."""
    return torch.where(squares < 0, -1.0, (n.sqrt() * squares.clamp(min=0).sqrt()) * (1 + 1e-6))


def _out_of_proportion(sums: Mapping[str, Sums]) -> dict[str, str | None]:
    """Return hospital -> by how much its features are larger than those of the median one."""
    size = {
        site: float((each["square_sum_D"].sum() / each["n_tiles"]).sqrt())
        for site, each in sums.items()
    }
    median = statistics.median_low(size.values()) if size else 0.0
    return {
        site: f"its features have a norm of {norm:.3g}, more than {MAX_RATIO} times the median "
        f"hospital's {median:.3g}; extract with the same encoder"
        for site, norm in size.items()
        if norm > MAX_RATIO * max(median, 1.0)
    }


def labels_in(sums: Sums) -> Sums:
    """Return the part that the objective learns from."""
    prefix = "label_"
    return {
        name.removeprefix(prefix): value for name, value in sums.items() if name.startswith(prefix)
    }
