r"""AUROC over hospitals from counts: no patient's score and label leave together.

Every hospital counts its positive and its negative patients in bins of the predicted probability.
Its bins are as narrow as a grid allows, and wide enough that each holds a stated number of
patients: a count of fewer would be a count of persons (k-anonymity, Sweeney 2002; the cells of at
least five of El Emam & Dankar 2008, J Am Med Inform Assoc 15:627; DataSHIELD asks for three by
default, Gaye et al. 2014). Bins of two hospitals may therefore overlap.

A pair of patients in bins that do not overlap is ordered as its bins are. Of a pair in bins that
do, the order is not known, so what the AUROC is at least and at most is known from the counts
themselves; between the two it is estimated as if scores were spread evenly over each bin. Pairs of
one hospital's own patients need no bins: the hospital says how many of them are in the right order,
which is its own AUROC.

Array suffixes: P patients, B bins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from histofed.core.metrics.inputs import check_probabilities
from histofed.core.metrics.ranks import auroc_R
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Labels

N_BINS = 100
"""Of the grid. Only patients whose scores share one of a hundred are never told apart."""


class BinnedAuroc(NamedTuple):
    """An AUROC as far as bins tell it; that of the patients themselves is between the two ends."""

    value: float
    at_least: float
    at_most: float


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Patients of one hospital and one model in bins of the predicted probability.

    Attributes
    ----------
    upper_B
        Where each bin ends, in hundredths; the first begins at 0, the others where the one before
        ends. A probability of 1 is in the last.
    positive_B, negative_B
        Patients of each class.
    predicted_B
        Sum of their probabilities.
    """

    upper_B: Labels
    positive_B: Labels
    negative_B: Labels
    predicted_B: Floats

    @classmethod
    def of(
        cls, labels_P: ArrayLike, probabilities_P: ArrayLike, *, fewest: int
    ) -> ScoreHistogram | None:
        """Count patients, who may be of one class; None where they are fewer than a bin holds.

        Parameters
        ----------
        fewest
            Patients in a bin, of both classes together.

        Raises
        ------
        CohortError
            Labels other than 0 and 1, probabilities outside 0..1, or lengths that differ.
        """
        labels, probabilities = check_probabilities(labels_P, probabilities_P)
        cells_P = bin_of(probabilities, N_BINS)
        bounds = _bounds(np.bincount(cells_P, minlength=N_BINS), fewest)
        if len(bounds) < 2:
            return None
        bins_P, n_bins = np.searchsorted(bounds[1:], cells_P, side="right"), len(bounds) - 1
        return cls(
            upper_B=bounds[1:],
            positive_B=np.bincount(bins_P[labels == 1], minlength=n_bins),
            negative_B=np.bincount(bins_P[labels == 0], minlength=n_bins),
            predicted_B=np.bincount(bins_P, probabilities, n_bins).astype(np.float64),
        )

    @property
    def n_B(self) -> Labels:
        """Patients in each bin."""
        return self.positive_B + self.negative_B

    def above(self, other: ScoreHistogram) -> Floats:
        """Return pairs of a positive here and a negative there: ``(4,)``.

        How many are in the right order, by estimate; at least; at most; and how many there are.
        """
        low_B, high_B = _lower(self.upper_B)[:, None], self.upper_B[:, None]
        other_low_B, other_high_B = _lower(other.upper_B), other.upper_B
        surely_BB, maybe_BB = low_B >= other_high_B, high_B > other_low_B
        # Of two scores spread evenly over [a, b) and [c, d), how often the first is the higher.
        area_BB = (high_B - low_B) * (other_high_B - other_low_B)
        beyond_BB = (
            _triangle(high_B - other_low_B)
            - _triangle(low_B - other_low_B)
            - _triangle(high_B - other_high_B)
            + _triangle(low_B - other_high_B)
        ) / area_BB
        each = (beyond_BB, surely_BB, maybe_BB, np.ones_like(area_BB))
        return np.array([self.positive_B @ part_BB @ other.negative_B for part_BB in each])


@dataclass(frozen=True, eq=False)
class SiteScores:
    """What one hospital says of how a question's patients are ordered.

    Only patients of one fold are compared, since each fold has its own model
    (`histofed.core.evaluation.within_folds`).

    Attributes
    ----------
    right, pairs
        Pairs of its own patients in the right order (a tie is one half), and all of them.
    folds
        Fold -> its patients in bins; a fold with too few of them is not there.
    """

    right: float
    pairs: int
    folds: Mapping[int, ScoreHistogram] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        labels_P: ArrayLike,
        probabilities_P: ArrayLike,
        folds_P: ArrayLike,
        *,
        fewest: int,
    ) -> SiteScores:
        """Count the patients of one hospital.

        Raises
        ------
        CohortError
            As `ScoreHistogram.of`.
        """
        labels, probabilities = check_probabilities(labels_P, probabilities_P)
        folds, found, pairs = np.asarray(folds_P), {}, 0
        for fold in np.unique(folds).tolist():
            here = folds == fold
            pairs += int(labels[here].sum() * (1 - labels[here]).sum())
            histogram = ScoreHistogram.of(labels[here], probabilities[here], fewest=fewest)
            if histogram is not None:
                found[int(fold)] = histogram
        area = auroc_R(labels, probabilities, np.ones((1, len(labels))), folds)[0]
        # Pairs in the right order are whole or half ones, whatever a division has left of them.
        return cls(right=round(2 * area * pairs) / 2 if pairs else 0.0, pairs=pairs, folds=found)


def binned_auroc(sites: Sequence[SiteScores]) -> BinnedAuroc:
    """Return the AUROC of all patients counted, and between what it is.

    Raises
    ------
    CohortError
        There is no pair to compare.
    """
    own = sum(each.right for each in sites)
    found = np.array([own, own, own, sum(each.pairs for each in sites)], dtype=np.float64)
    for one, other in permutations(sites, 2):
        for fold in sorted(one.folds.keys() & other.folds.keys()):
            found += one.folds[fold].above(other.folds[fold])
    _check_pairs(found[-1])
    value, at_least, at_most = (found[:-1] / found[-1]).tolist()
    return BinnedAuroc(value, at_least, at_most)


def auroc_within(sites: Sequence[SiteScores]) -> float:
    """Return the AUROC of pairs of patients of one hospital; exact (van Klaveren et al. 2014).

    The mean of the hospitals' own, each counting by its pairs: it is blind to how scores differ
    from hospital to hospital.

    Raises
    ------
    CohortError
        There is no pair to compare.
    """
    pairs = sum(each.pairs for each in sites)
    _check_pairs(pairs)
    return sum(each.right for each in sites) / pairs


def bin_of(probabilities_P: np.ndarray, n_bins: int) -> Labels:
    """Return the bin of equal width that each probability is in, from 0."""
    return np.minimum((probabilities_P * n_bins).astype(np.int64), n_bins - 1)


def _check_pairs(pairs: float) -> None:
    if not pairs:
        msg = "no positive patient has a negative one of its fold to be compared with; an AUROC "
        msg += "needs both classes"
        raise CohortError(msg)


def _triangle(widths_BB: Labels) -> Floats:
    return np.asarray(np.maximum(widths_BB, 0) ** 2 / 2)


def _lower(upper_B: Labels) -> Labels:
    return np.concatenate([[0], upper_B[:-1]])


def _bounds(counts: Labels, fewest: int) -> Labels:
    """Return where bins begin, and where the last ends; each holds so many patients at least."""
    bounds, waiting = [0], 0
    for cell, count in enumerate(counts.tolist()):
        waiting += count
        if waiting >= max(1, fewest):
            bounds.append(cell + 1)
            waiting = 0
    if len(bounds) > 1:
        bounds[-1] = len(counts)  # whoever is left goes into the last one
    return np.array(bounds, dtype=np.int64)
