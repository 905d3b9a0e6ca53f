"""The same glass on two sides of a split: by its digest, and by what the encoder saw in it.

A patient on two sides cannot happen (`histofed.core.splits.Fold`). A slide that two patients share,
under another name or scanned and saved again, would be trained on and tested all the same.

Array suffixes: S slides, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import cdist

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from histofed.core.metrics.inputs import Floats
    from histofed.core.splits import Fold

NEAR = 0.05
"""Slides closer than this fraction of the median distance between slides are one glass."""

ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What a slide is known by.

    Attributes
    ----------
    digest
        Of the slide file; empty if not known.
    mean_D
        Mean of the features of its tiles.
    """

    slide_id: str
    patient_id: str
    digest: str
    mean_D: Floats


@dataclass(frozen=True, slots=True)
class Twins:
    """Two slides of different patients that look like one glass, and why."""

    slides: tuple[str, str]
    patients: tuple[str, str]
    why: str


def find_twins(slides: Sequence[Fingerprint], *, near: float = NEAR) -> list[Twins]:
    """Return the pairs of slides of different patients that are the same or nearly so.

    Near-identical is measured in standardised mean features, as a fraction of the median distance
    between slides. It sees another copy, crop or compression of a scan; another scanner's picture
    of the glass is as far away as another patient's.

    Parameters
    ----------
    slides
        Of one cohort, with features of one encoder.

    Raises
    ------
    CohortError
        Features of different dimensions, or not finite: the slides are named.
    """
    if not slides:
        return []
    _check(slides)
    standardised_SD = _standardised(np.stack([slide.mean_D for slide in slides]))
    found = []
    for first, second, ratio in _near_pairs(standardised_SD, near):
        one, other = slides[first], slides[second]
        if one.patient_id != other.patient_id and not (one.digest and one.digest == other.digest):
            why = f"their features are {ratio:.1%} of the usual distance apart"
            found.append(_twins(one, other, why))
    by_digest: dict[str, list[Fingerprint]] = {}
    for slide in slides:
        if slide.digest:
            by_digest.setdefault(slide.digest, []).append(slide)
    for copies in by_digest.values():
        for one, other in combinations(copies, 2):
            if one.patient_id != other.patient_id:
                found.append(_twins(one, other, "they are the same file"))
    return sorted(found, key=lambda twins: twins.slides)


def check_no_leakage(folds: Iterable[Fold], twins: Iterable[Twins]) -> None:
    """Stop, by name, if twins are on two sides of a fold.

    Raises
    ------
    CohortError
        The fold, the slides, their patients and roles are named.
    """
    twins = list(twins)
    for fold in folds:
        role_of = fold.role_of
        for pair in twins:
            roles = [role_of.get(patient) for patient in pair.patients]
            if None in roles or roles[0] == roles[1]:
                continue
            seen = " and ".join(
                f"slide {slide} of patient {patient} ({role})"
                for slide, patient, role in zip(pair.slides, pair.patients, roles, strict=True)
            )
            msg = (
                f"fold {fold.number}: {seen} look like one glass: {pair.why}; give both the same "
                "patient_id, or take one out of the cohort table"
            )
            raise CohortError(msg)


def _check(slides: Sequence[Fingerprint]) -> None:
    first = slides[0]
    for slide in slides:
        where = f"patient {slide.patient_id}, slide {slide.slide_id}"
        if slide.mean_D.shape != first.mean_D.shape:
            msg = (
                f"{where}: {len(slide.mean_D)} features, slide {first.slide_id} has "
                f"{len(first.mean_D)}; extract the cohort with one encoder"
            )
            raise CohortError(msg)
        if not np.isfinite(slide.mean_D).all():
            msg = f"{where}: its features are not finite; extract it again"
            raise CohortError(msg)


def _standardised(mean_SD: Floats) -> Floats:
    """Return features of mean 0 and deviation 1; what all slides share tells none apart."""
    spread_D = mean_SD.std(axis=0)
    # float32 means of a constant differ by rounding, which standardising would blow up.
    varies = spread_D > 1e-6 * np.abs(mean_SD).max(axis=0)
    centred_SD = mean_SD[:, varies] - mean_SD[:, varies].mean(axis=0)
    return np.asarray(centred_SD / spread_D[varies], dtype=np.float64)


def _near_pairs(values_SD: Floats, near: float) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of rows and their distance as a fraction of the median one, block by block."""
    typical = _typical_distance(values_SD)
    for start in range(0, len(values_SD), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        distance = cdist(values_SD[block], values_SD[start:])
        for row, column in np.argwhere(distance <= near * typical):
            if column > row:
                ratio = distance[row, column] / typical if typical else 0.0
                yield start + int(row), start + int(column), float(ratio)


def _typical_distance(values_SD: Floats) -> float:
    """Return the median distance of two different slides, of up to `ROWS_AT_ONCE` of them."""
    sample = values_SD[:: -(-len(values_SD) // ROWS_AT_ONCE)]
    rows, columns = np.triu_indices(len(sample), k=1)
    found = cdist(sample, sample)[rows, columns]
    return float(np.median(found)) if len(found) else 0.0


def _twins(one: Fingerprint, other: Fingerprint, why: str) -> Twins:
    first, second = sorted((one, other), key=lambda slide: slide.slide_id)
    return Twins((first.slide_id, second.slide_id), (first.patient_id, second.patient_id), why)
