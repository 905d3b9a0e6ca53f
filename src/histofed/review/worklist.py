"""The worklist: cases in the order in which they deserve a look, and those asked for among them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from histofed.review.data import Case, ReviewData

Order: TypeAlias = Literal["uncertain", "discordant", "unusual", "patient", "site", "probability"]
Reviewed: TypeAlias = Literal["any", "todo", "nobody", "mine", "disagreement"]

Verdicts: TypeAlias = "Mapping[str, Mapping[str, str]]"
"""Patient -> reviewer -> the reviewer's latest verdict."""

MOST = 10_000
"""Cases in one answer, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which cases, in which order.

    Attributes
    ----------
    site
        Only of this site; empty for all.
    reviewed
        Only those with no verdict of who asks (``todo``), of nobody, with one of theirs (``mine``),
        or with verdicts that differ; ``any`` for all.
    find
        Only with this text in the names of patient, site or slides.
    offset, limit
        Which part of those that match is answered.
    """

    order: Order = "uncertain"
    site: str = ""
    reviewed: Reviewed = "any"
    find: str = ""
    offset: int = 0
    limit: int = 100


class Worklist:
    """The cases of a run; orders are made once, because predictions do not change."""

    def __init__(self, site: ReviewData) -> None:
        self._names = [output.name for output in site.outputs]
        self._sorted: dict[Order, tuple[Case, ...]] = {
            order: tuple(sorted(site.cases, key=key)) for order, key in _KEYS.items()
        }
        self._text = {case.patient_id: _text(case) for case in site.cases}
        self._rows = {case.patient_id: self._row(case) for case in site.cases}

    @property
    def orders(self) -> list[Order]:
        """Orders that tell these cases apart, the default one first."""
        told = {
            "uncertain": lambda case: case.uncertainty,
            "discordant": lambda case: case.against,
            "unusual": lambda case: case.unusual,
        }
        cases = self._sorted["patient"]
        found: list[Order] = []
        for order in self._sorted:
            said = told.get(order)
            if said is None or any(said(case) is not None for case in cases):
                found.append(order)
        return found

    def page(self, wanted: Wanted, verdicts: Verdicts, *, reviewer: str | None) -> dict[str, Any]:
        """Return the cases asked for, and how far the review is.

        Parameters
        ----------
        reviewer
            Who asks: whose verdicts are "mine".
        """
        cases = self._sorted[wanted.order]
        matching = [case for case in cases if self._matches(case, wanted, verdicts, reviewer)]
        shown = matching[wanted.offset : wanted.offset + wanted.limit]
        given = [verdicts[case.patient_id] for case in cases if case.patient_id in verdicts]
        return {
            "n": len(cases),
            "n_matching": len(matching),
            "n_reviewed_mine": sum(reviewer in each for each in given),
            "n_reviewed_any": len(given),
            "cases": [self.row(case.patient_id, verdicts) for case in shown],
        }

    def neighbour(
        self,
        patient_id: str,
        wanted: Wanted,
        verdicts: Verdicts,
        *,
        by: Literal[1, -1],
        is_todo: bool,
        reviewer: str | None,
    ) -> tuple[str, int] | None:
        """Return the case after (1) or before (-1) another, and its place among those asked for.

        The other need not match itself: a case that was judged is not among those to be judged.

        Parameters
        ----------
        is_todo
            Pass over cases that the reviewer has judged.
        """
        cases = self._sorted[wanted.order]
        here = next(i for i, case in enumerate(cases) if case.patient_id == patient_id)
        matching = [
            (i, case.patient_id)
            for i, case in enumerate(cases)
            if self._matches(case, wanted, verdicts, reviewer)
        ]
        beyond = [
            (found, place)
            for place, (i, found) in enumerate(matching)
            if (i - here) * by > 0 and not (is_todo and reviewer in verdicts.get(found, {}))
        ]
        if not beyond:
            return None
        return beyond[0] if by == 1 else beyond[-1]

    def row(self, patient_id: str, verdicts: Verdicts) -> dict[str, Any]:
        """Return one case with the latest verdict of each reviewer."""
        given = verdicts.get(patient_id, {})
        said = [{"reviewer": who, "verdict": what} for who, what in sorted(given.items())]
        return self._rows[patient_id] | {"verdicts": said}

    def _matches(
        self, case: Case, wanted: Wanted, verdicts: Verdicts, reviewer: str | None
    ) -> bool:
        if wanted.site and case.site != wanted.site:
            return False
        if wanted.find and wanted.find.strip().lower() not in self._text[case.patient_id]:
            return False
        if wanted.reviewed == "any":
            return True
        given = verdicts.get(case.patient_id, {})
        if wanted.reviewed in {"mine", "todo"}:
            return (reviewer in given) == (wanted.reviewed == "mine")
        return not given if wanted.reviewed == "nobody" else len(set(given.values())) > 1

    def _row(self, case: Case) -> dict[str, Any]:
        numbers = zip(self._names, case.outputs, strict=True)
        return {
            "patient_id": case.patient_id,
            "site": case.site,
            "label": case.label,
            "outputs": {name: None if math.isnan(value) else value for name, value in numbers},
            "interval": {name: list(ends) for name, ends in case.intervals.items()} or None,
            "possible": None if case.possible is None else list(case.possible),
            "unusual": case.unusual,
            "discordant": case.discordant,
            "uncertainty": case.uncertainty,
            "slide_ids": list(case.slide_ids),
        }


def latest(rows: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    """Return patient -> reviewer -> verdict, of rows in the order in which they were given."""
    found: dict[str, dict[str, str]] = {}
    for patient_id, reviewer, verdict in rows:
        found.setdefault(patient_id, {})[reviewer] = verdict
    return found


def _text(case: Case) -> str:
    words = [case.patient_id, case.site, *case.slide_ids]  # not the label: it may be hidden
    return " ".join(words).lower()


def _falling(value: float | None) -> float:
    """Return a key that puts large values first and unknown ones last."""
    return math.inf if value is None or math.isnan(value) else -value


_KEYS: dict[Order, Callable[[Case], Any]] = {
    "uncertain": lambda case: _falling(case.uncertainty),
    "discordant": lambda case: (not case.discordant, _falling(case.against)),
    "unusual": lambda case: _falling(case.unusual),
    "patient": lambda case: case.patient_id,
    "site": lambda case: (case.site, case.patient_id),
    "probability": lambda case: _falling(case.outputs[0]),
}
