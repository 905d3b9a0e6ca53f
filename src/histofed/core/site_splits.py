"""Folds that keep every hospital whole: no site is on both sides.

A model may learn a hospital's stain instead of the disease; tested on a hospital that it has not
seen, that does not help it (Howard et al. 2021). Which sites go together is a small integer
programme, solved to the best balance of the labels.

Array suffixes: S sites, C classes, K folds.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import eye_array, hstack, kron

from histofed.core.cohort import some
from histofed.core.splits import check_enough
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

NODE_LIMIT = 2_000
"""Nodes of the search tree, after which the best folds so far are taken: the same on every machine,
where a limit in seconds would not be."""


def site_preserved_folds(
    label_of: Mapping[str, int],
    site_of: Mapping[str, str],
    n_folds: int,
    *,
    cohort: str = "(unnamed)",
    needed: Collection[int] | None = None,
) -> dict[str, int]:
    """Deal whole sites into folds so that each class is spread as evenly as the sites allow.

    Minimised is the number of patients of a class by which a fold misses the class's even share,
    as a fraction of the class, over all folds and classes: a rare class weighs as much as a
    frequent one. There is no chance in it: the same table gives the same folds.

    Parameters
    ----------
    label_of, site_of
        ``patient_id`` -> class, and -> site.
    cohort
        Name for the error.
    needed
        Classes of which every fold needs somebody; None for 0, 1 and all that there are.

    Returns
    -------
    fold_of
        ``patient_id`` -> fold, from 0.

    Raises
    ------
    CohortError
        As `deal`; fewer sites than folds, of all or with patients of one class; or sites that
        cannot be put together so that every fold has every class.
    """
    check_enough(label_of, n_folds, cohort=cohort, needed=needed)
    sizes = Counter(site_of[patient] for patient in label_of)
    # The largest first, for the symmetry in `_solve`.
    sites = sorted(sizes, key=lambda site: (-sizes[site], site))
    classes = sorted(set(label_of.values()))

    def is_needed(label: int) -> bool:
        return needed is None or label in needed

    counts_SC = np.zeros((len(sites), len(classes)), dtype=np.int64)
    for patient, label in label_of.items():
        counts_SC[sites.index(site_of[patient]), classes.index(label)] += 1
    for label, counts_S in zip(classes, counts_SC.T, strict=True):
        having = sorted(site for site, count in zip(sites, counts_S, strict=True) if count)
        if len(having) < n_folds and is_needed(label):
            msg = (
                f"cohort {cohort}: patients of class {label} are at "
                f"{counted(len(having), 'site')} ({some(having)}), too few for {n_folds} folds "
                "without a site on both sides; use fewer folds (splits.n_folds=...) or folds that "
                "divide sites"
            )
            raise CohortError(msg)
    if len(sites) < n_folds:
        msg = (
            f"cohort {cohort}: {counted(len(sites), 'site')} ({some(sites)}), too few for "
            f"{n_folds} folds without a site on both sides; use fewer folds (splits.n_folds=...) "
            "or folds that divide sites"
        )
        raise CohortError(msg)
    least_C = np.array([int(is_needed(label)) for label in classes])
    fold_S = _solve(counts_SC, n_folds, least_C)
    if fold_S is None:
        msg = (
            f"cohort {cohort}: its {len(sites)} sites ({some(sites)}) cannot be put into "
            f"{n_folds} folds that all have every class; use fewer folds (splits.n_folds=...)"
        )
        raise CohortError(msg)
    fold_of_site = dict(zip(sites, fold_S.tolist(), strict=True))
    return {patient: fold_of_site[site_of[patient]] for patient in label_of}


def _solve(
    counts_SC: NDArray[np.int64], n_folds: int, least_C: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Return the fold of each site, or None if there is no way.

    ``least_C`` is 1 for a class of which every fold needs somebody.

    The unknowns are ``in_SK`` (1 if site s is in fold k) and ``off_CK`` >= 0, by how many patients
    fold k misses the even share of class c, in this order, row by row.
    """
    n_sites, n_classes = counts_SC.shape
    n_in, n_off = n_sites * n_folds, n_classes * n_folds
    total_C = counts_SC.sum(axis=0)
    share_low = np.repeat(total_C // n_folds, n_folds)
    share_high = np.repeat(-(-total_C // n_folds), n_folds)
    folds, off = eye_array(n_folds), eye_array(n_off)
    once = hstack([kron(eye_array(n_sites), np.ones((1, n_folds))), np.zeros((n_sites, n_off))])
    held = kron(counts_SC.T, folds)  # patients of class c in fold k
    # Folds have no names: the i-th site need not look beyond the i-th fold.
    highest_SK = np.arange(n_folds) <= np.arange(n_sites)[:, None]
    found = milp(
        np.concatenate([np.zeros(n_in), np.repeat(1 / total_C, n_folds)]),
        integrality=np.repeat([1, 0], [n_in, n_off]),
        bounds=Bounds(0, np.concatenate([highest_SK.ravel(), np.full(n_off, np.inf)])),
        constraints=[
            LinearConstraint(once, 1, 1),
            LinearConstraint(hstack([held, -off]), -np.inf, share_high),
            LinearConstraint(hstack([held, off]), share_low, np.inf),
            LinearConstraint(hstack([held, 0 * off]), np.repeat(least_C, n_folds), np.inf),
        ],
        options={"node_limit": NODE_LIMIT, "mip_rel_gap": 0},
    )
    if found.x is None:
        return None
    return np.asarray(found.x[:n_in].reshape(n_sites, n_folds).argmax(axis=1))
