"""Patients parted by predicted risk where the selection patients say, and how each part fares.

Array suffixes: P patients.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.evaluation.base import attempt
from histofed.core.evaluation.picked import by_fold
from histofed.core.survival.kaplan_meier import kaplan_meier, log_rank
from histofed.errors import CohortError

if TYPE_CHECKING:
    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats
    from histofed.core.survival.kaplan_meier import KaplanMeier, LogRank

NOT_RECORDED = {"recorded": False}
"""Metadata of a field that is drawn, and not written to ``metrics.json``."""

NAMES = {2: ("low risk", "high risk"), 3: ("low risk", "middle risk", "high risk")}


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskGroups:
    """Groups of rising risk.

    Attributes
    ----------
    cuts
        Fold -> risks above which a patient belongs to the next group: the median, or the thirds,
        of the fold's selection patients.
    n_patients
        Group -> patients; one may have none.
    n_events
        Group -> patients with the event.
    medians
        Group -> time at which half of it had the event; None where follow-up ends before.
    curves
        Group -> survival, of groups with patients; for the figure.
    log_rank
        None, with the reason, where groups cannot be compared.
    """

    cuts: dict[int, tuple[float, ...]]
    n_patients: dict[str, int]
    n_events: dict[str, int]
    medians: dict[str, float | None]
    log_rank: LogRank | None
    reason: str
    curves: dict[str, KaplanMeier] = field(metadata=NOT_RECORDED)


def risk_groups(rows: Rows, picked: Picked | None, *, n_groups: int) -> RiskGroups:
    """Part patients into two or three groups of risk.

    The cuts come from the selection patients, who were not trained on and are not reported: cut at
    the tested patients' own median, the groups would be known only once everybody is.

    Raises
    ------
    CohortError
        As `by_fold`.
    """
    at = np.arange(1, n_groups) / n_groups
    cuts = by_fold(
        rows,
        picked,
        lambda here: tuple(np.quantile(here.output_P, at).tolist()),
        what="groups of risk",
    )
    number_P = np.array(
        [np.searchsorted(cuts[fold], risk) for fold, risk in _fold_and_risk(rows)], dtype=np.int64
    )
    names = NAMES[n_groups]
    time_P, event_P = rows.labels_PK.T
    group_P = np.array(names)[number_P]
    members = {name: group_P == name for name in names}
    test, reason = attempt(lambda: log_rank(time_P, event_P, group_P))
    curves = {
        name: kaplan_meier(time_P[here], event_P[here])
        for name, here in members.items()
        if here.any()
    }
    return RiskGroups(
        cuts=cuts,
        n_patients={name: int(here.sum()) for name, here in members.items()},
        n_events={name: int(event_P[here].sum()) for name, here in members.items()},
        medians={
            name: curve.median if np.isfinite(curve.median) else None
            for name, curve in curves.items()
        },
        log_rank=test,
        reason=reason,
        curves=curves,
    )


def standardised(rows: Rows) -> Floats:
    """Return risks in standard deviations of their fold, around its mean; no label is looked at.

    Raises
    ------
    CohortError
        All patients of a fold have one risk: the fold is named.
    """
    found = np.empty(len(rows))
    for fold in np.unique(rows.folds_P):
        here = rows.folds_P == fold
        risks = rows.output_P[here]
        if np.ptp(risks) == 0:
            msg = f"hazard ratio: all {here.sum()} patients of fold {fold} have the risk "
            msg += f"{risks[0]:g}, so it has no standard deviation; use fewer folds"
            raise CohortError(msg)
        found[here] = (risks - risks.mean()) / risks.std()
    return found


def _fold_and_risk(rows: Rows) -> list[tuple[int, float]]:
    return list(zip(rows.folds_P.tolist(), rows.output_P.tolist(), strict=True))
