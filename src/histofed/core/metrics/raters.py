"""How far people agree with one another. Suffixes: P patients, C categories, R resamples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from histofed.core.metrics.inputs import check_groups
from histofed.core.metrics.intervals import Interval, two_sided_z, wilson
from histofed.core.metrics.resampling import percentile
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats


def cohen_kappa(
    first_P: Sequence[str], second_P: Sequence[str], *, n_resamples: int = 2000, seed: int = 0
) -> Interval | None:
    """Return the agreement of two people beyond chance (Cohen 1960), bootstrapped over patients.

    1 is full agreement, 0 what chance would give. None for one patient, and where both always
    say the same one thing: chance alone would agree then. Ends are NaN where more than half of the
    resamples are like that, and where one of them always says the same: kappa is 0 then, whoever
    is asked.
    Two who agree on every patient agree in every resample too; the low end is then that of Wilson's
    interval of their agreement, beyond the same chance.

    Raises
    ------
    CohortError
        Not two answers per patient, or no patient.
    """
    if len(first_P) != len(second_P) or not first_P:
        msg = f"kappa: one answer of each rater per patient, found {len(first_P)} and "
        msg += f"{len(second_P)}; give two lists of the same length, at least 1"
        raise CohortError(msg)
    names, codes = np.unique([*first_P, *second_P], return_inverse=True)
    a_P, b_P = codes.reshape(2, -1)
    counts_CC = np.zeros((len(names), len(names)))
    np.add.at(counts_CC, (a_P, b_P), 1)
    value = float(_kappa(counts_CC[None])[0])
    if math.isnan(value) or len(a_P) == 1:
        return None
    # Kappa sees a patient by both answers only, so their counts are drawn instead of patients.
    counts_RC = np.random.default_rng(seed).multinomial(
        len(a_P), counts_CC.ravel() / len(a_P), n_resamples
    )
    draws_R = _kappa(counts_RC.reshape(-1, *counts_CC.shape))
    told_R = draws_R[~np.isnan(draws_R)]
    is_constant = len({*first_P}) == 1 or len({*second_P}) == 1
    if 2 * len(told_R) < len(draws_R) or is_constant:
        return Interval(value, math.nan, math.nan)
    if np.array_equal(a_P, b_P):
        chance = float(np.square(counts_CC.sum(axis=0) / len(a_P)).sum())
        agreed = wilson(len(a_P), len(a_P))
        return Interval(value, (agreed.low - chance) / (1 - chance), value)
    return percentile(value, told_R)


def share_of_groups(values_P: ArrayLike, groups_P: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return the share of ones with an interval over groups: tiles of one patient are alike.

    Wilson's interval at the effective number of values (Korn and Graubard 1998; Dean and Pagano
    2015): as many as would tell as much if none had company, judged by how groups differ. Where all
    values are the same nothing can be judged so; then each group counts as one value. Groups of
    uneven size count as fewer (Kish 1965): one that has most of the values says most of what is
    known. Ends are NaN with fewer than two groups.

    Parameters
    ----------
    values_P
        0 or 1 each.

    Raises
    ------
    CohortError
        Not one group per value, or no value.
    """
    values = np.asarray(values_P, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        msg = f"share of groups: at least one value is needed, found shape {values.shape}"
        raise CohortError(msg)
    _, group_P = np.unique(check_groups(groups_P, len(values)), return_inverse=True)
    share, n_groups = float(values.mean()), int(group_P.max()) + 1
    if n_groups < 2:
        return Interval(share, math.nan, math.nan)
    sizes_G = np.bincount(group_P)
    n_even = float(sizes_G.sum() ** 2 / np.square(sizes_G).sum())
    n_effective = n_even
    if 0 < share < 1:
        sums_G = np.bincount(group_P, weights=values - share)
        variance = n_groups / (n_groups - 1) * float(sums_G @ sums_G) / len(values) ** 2
        alone = share * (1 - share)
        n_alike = min(alone / variance, len(values)) if variance > 0 else len(values)
        # The variance is itself known from few groups only.
        quantiles = two_sided_z(level) / float(stats.t.ppf((1 + level) / 2, n_even - 1))
        n_effective = n_alike * quantiles**2
    return wilson(share * n_effective, n_effective, level=level)


def _kappa(counts_RCC: ArrayLike) -> Floats:
    """Return the kappa ``(R,)`` of tables of both answers; NaN where chance alone agrees."""
    parts_RCC = np.asarray(counts_RCC, dtype=np.float64)
    parts_RCC = parts_RCC / parts_RCC.sum(axis=(1, 2), keepdims=True)
    agreed_R = np.trace(parts_RCC, axis1=1, axis2=2)
    chance_R = (parts_RCC.sum(axis=1) * parts_RCC.sum(axis=2)).sum(axis=1)
    beyond_R = 1 - chance_R
    told = beyond_R > 1e-12
    return np.where(told, (agreed_R - chance_R) / np.where(told, beyond_R, 1), np.nan)
