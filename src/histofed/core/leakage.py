"""The same glass on two sides of a split: by its digest, and by what the encoder saw in it.

A patient on two sides cannot happen (`histofed.core.splits.Fold`). A slide that two patients share,
under another name or scanned and saved again, would be trained on and tested all the same.

Array suffixes: S slides, D features.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from histofed.core.metrics.inputs import Floats
    from histofed.core.splits import Fold

NEAR = 0.2
"""Slides closer than this part of the usual distance to the nearest other patient are one glass.

In a cohort of 64 slides of 60 tiles, the nearest other patient is never closer than 0.8 of the
usual, and a slide without a tenth of its tiles is 0.2 from itself; with more tiles, less."""

NEAR_OF_ALL = 0.02
"""The same, of the median distance between patients: where most slides have a copy, the nearest
other patient is usually that."""

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
    n_tiles
        How many they are.
    """

    slide_id: str
    patient_id: str
    digest: str
    mean_D: Floats
    n_tiles: int = 1


@dataclass(frozen=True, slots=True)
class Twins:
    """Two slides of different patients that look like one glass, and why."""

    slides: tuple[str, str]
    patients: tuple[str, str]
    why: str


def find_twins(slides: Sequence[Fingerprint]) -> list[Twins]:
    """Return the pairs of slides of different patients that are the same or nearly so.

    Nearness is measured in standardised mean features. It sees another copy, crop or compression
    of a scan; another scanner's picture of the glass may be as far away as another patient's.

    Parameters
    ----------
    slides
        Of one cohort, with features of one encoder.

    Raises
    ------
    CohortError
        Features of different dimensions, or not finite: the slides are named.
    """
    _check(slides)
    why: dict[tuple[int, int], str] = {}
    if len({slide.patient_id for slide in slides}) > 1:
        why |= _near_pairs(slides)
    by_digest: dict[str, list[int]] = defaultdict(list)
    for number, slide in enumerate(slides):
        if slide.digest:
            by_digest[slide.digest].append(number)
    for copies in by_digest.values():
        why |= dict.fromkeys(combinations(copies, 2), "they are the same file")
    found = []
    for pair, reason in why.items():
        one, other = sorted((slides[number] for number in pair), key=lambda slide: slide.slide_id)
        if one.patient_id != other.patient_id:
            patients = (one.patient_id, other.patient_id)
            found.append(Twins((one.slide_id, other.slide_id), patients, reason))
    return sorted(found, key=lambda twins: twins.slides)


def patient_means(slides: Iterable[Fingerprint]) -> dict[str, Floats]:
    """Return ``patient_id`` -> mean of the features of all tiles of all slides."""
    sums: dict[str, Floats] = {}
    n_tiles: dict[str, int] = defaultdict(int)
    for slide in slides:
        sums[slide.patient_id] = sums.get(slide.patient_id, 0.0) + slide.n_tiles * slide.mean_D
        n_tiles[slide.patient_id] += slide.n_tiles
    return {patient: total / n_tiles[patient] for patient, total in sums.items()}


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
    for slide in slides:
        first = slides[0]
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


def _near_pairs(slides: Sequence[Fingerprint]) -> dict[tuple[int, int], str]:
    """Return the pairs of slides that are near, and how near, block by block."""
    values_SD = _standardised(np.stack([slide.mean_D for slide in slides]))
    limit, typical = _near(values_SD, np.array([slide.patient_id for slide in slides]))
    found = {}
    for start in range(0, len(values_SD), ROWS_AT_ONCE):
        distance = _distances(values_SD[start : start + ROWS_AT_ONCE], values_SD[start:])
        for row, column in np.argwhere(distance <= limit):
            if column > row:
                ratio = distance[row, column] / typical if typical else 0.0
                pair = (start + int(row), start + int(column))
                found[pair] = f"their features are {ratio:.1%} as far apart as those of patients"
    return found


def _near(values_SD: Floats, patients_S: NDArray[np.str_]) -> tuple[float, float]:
    """Return the distance that is near, and the median one of different patients.

    Estimated from up to `ROWS_AT_ONCE` slides against all.
    """
    some = slice(None, None, -(-len(values_SD) // ROWS_AT_ONCE))
    distance = _distances(values_SD[some], values_SD)
    other = patients_S[some][:, None] != patients_S
    typical = float(np.median(distance[other]))
    nearest_S = np.where(other, distance, np.inf).min(axis=1)
    return max(NEAR * float(np.median(nearest_S)), NEAR_OF_ALL * typical), typical


def _distances(one_SD: Floats, other_SD: Floats) -> Floats:
    """Return all distances by one product of matrices; what rounding makes negative is 0."""
    squares = (one_SD**2).sum(axis=1)[:, None] + (other_SD**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares - 2 * one_SD @ other_SD.T, 0.0)))
