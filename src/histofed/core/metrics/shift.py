"""Patients unlike those trained on, and features that give the site away.

Array suffixes: P patients, Q patients trained on, D features, S sites.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.spatial.distance import cdist

from histofed.core.metrics.discrimination import auroc
from histofed.core.metrics.inputs import Floats, Labels, check_finite, check_groups
from histofed.core.splits import deal
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Classify: TypeAlias = Callable[[Floats, Labels, Floats], Floats]
"""Fits on features ``(Q, D)`` and classes ``(Q,)``; returns a score of every class for other
features, ``(P, S)``, in the order of the classes' numbers."""

N_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True, eq=False)
class TrainedOn:
    """The patients trained on, in the room where distance means unlikeness.

    Attributes
    ----------
    mean_D, spread_D
        What features are standardised with.
    standardised_QD
        The patients trained on.
    own_scores_Q
        Their own scores, each without itself, rising: what is usual.
    n_neighbours
        How many nearest patients a score looks at.
    """

    mean_D: Floats
    spread_D: Floats
    standardised_QD: Floats
    own_scores_Q: Floats
    n_neighbours: int

    def score(self, embeddings_PD: ArrayLike) -> Floats:
        """Return the distance of each patient to the k-th nearest patient trained on.

        Raises
        ------
        CohortError
            Other features than those trained on, or values not finite.
        """
        embeddings = _check(embeddings_PD)
        if embeddings.shape[1] != len(self.mean_D):
            msg = f"unlikeness: {embeddings.shape[1]} features, trained on {len(self.mean_D)}; "
            msg += "extract with the encoder that the model was trained on"
            raise CohortError(msg)
        standardised = (embeddings - self.mean_D) / self.spread_D
        distances = cdist(standardised, self.standardised_QD)
        return np.asarray(np.sort(distances, axis=1)[:, self.n_neighbours - 1])

    def percentile(self, embeddings_PD: ArrayLike) -> Floats:
        """Return how many in a hundred patients trained on are more usual than each patient.

        About uniform for patients like those trained on; 99 and above says: look twice.
        """
        below = np.searchsorted(self.own_scores_Q, self.score(embeddings_PD), side="left")
        return np.asarray(100 * below / len(self.own_scores_Q))


@dataclass(frozen=True, slots=True)
class SiteKnown:
    """How well features tell where a slide was made; 0.5 is not at all.

    Attributes
    ----------
    by_site
        Site -> AUROC of this site against all others, out of fold.
    mean
        Over the sites.
    """

    by_site: dict[str, float]
    mean: float


def trained_on(embeddings_QD: ArrayLike, *, n_neighbours: int = N_NEIGHBOURS) -> TrainedOn:
    """Learn what is usual from the training patients' embeddings, e.g. mean features of a bag.

    The score is the distance to the k-th nearest neighbour (Sun et al. 2022), in standardised
    features. Nothing has to be inverted, so it works with fewer patients than features, where a
    Mahalanobis distance looks small for the patients that it was fitted on and large for all
    others. A training patient's own score leaves the patient out, so the two kinds compare.

    Raises
    ------
    CohortError
        Too few patients, or features not finite.
    """
    embeddings = _check(embeddings_QD)
    if len(embeddings) <= n_neighbours:
        msg = f"unlikeness: {len(embeddings)} patients trained on, at least {n_neighbours + 1} are "
        msg += f"needed to look at {n_neighbours} neighbours of each"
        raise CohortError(msg)
    mean, spread = embeddings.mean(axis=0), embeddings.std(axis=0)
    # A feature that never varied here says nothing of what is usual, unless a patient differs.
    spread[spread == 0] = 1.0
    standardised = (embeddings - mean) / spread
    distances = cdist(standardised, standardised)
    np.fill_diagonal(distances, np.inf)
    own = np.sort(np.sort(distances, axis=1)[:, n_neighbours - 1])
    return TrainedOn(mean, spread, standardised, own, n_neighbours)


def site_known(
    embeddings_PD: ArrayLike,
    sites_P: ArrayLike,
    classify: Classify,
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> SiteKnown:
    """Return how well a classifier finds the site from the features, cross-validated by patient.

    Patients are compared with those of their fold.

    Where it does, a model may use the site in place of the disease (Howard et al. 2021); compare
    with `stratified_auroc` and test on whole sites.

    Parameters
    ----------
    embeddings_PD
        One row per patient.
    classify
        Any classifier; a regularised logistic regression is usual.

    Raises
    ------
    CohortError
        One site only; a site with fewer patients than folds (it is named); features not finite.
    """
    embeddings = _check(embeddings_PD)
    sites = check_groups(sites_P, len(embeddings))
    names, site_P, n_patients_S = np.unique(sites, return_inverse=True, return_counts=True)
    if len(names) < 2:
        msg = f"site from features: all {len(sites)} patients are of site {names[0]}; there is "
        msg += "nothing to tell apart"
        raise CohortError(msg)
    if n_patients_S.min() < n_folds:
        msg = f"site from features: site {names[n_patients_S.argmin()]} has "
        msg += f"{counted(n_patients_S.min(), 'patient')} for {n_folds} folds; use fewer folds, or "
        msg += "leave the site out"
        raise CohortError(msg)
    fold_of = deal({str(p): int(s) for p, s in enumerate(site_P)}, n_folds, seed=seed)
    fold_P = np.array([fold_of[str(p)] for p in range(len(site_P))])
    scores_PS = np.empty((len(site_P), len(names)))
    for fold in range(n_folds):
        held = fold_P == fold
        found = classify(embeddings[~held], site_P[~held].astype(np.int64), embeddings[held])
        if np.shape(found) != (held.sum(), len(names)):
            msg = f"site from features: the classifier returned scores of shape {np.shape(found)} "
            msg += f"for {held.sum()} patients and {len(names)} sites"
            raise CohortError(msg)
        scores_PS[held] = found
    by_site = {
        str(n): auroc(site_P == s, scores_PS[:, s], within_P=fold_P) for s, n in enumerate(names)
    }
    return SiteKnown(by_site, float(np.mean(list(by_site.values()))))


def _check(embeddings: ArrayLike) -> Floats:
    values = np.asarray(embeddings, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        msg = f"embeddings are one row of features per patient, found shape {values.shape}"
        raise CohortError(msg)
    check_finite("feature", values)
    return values
