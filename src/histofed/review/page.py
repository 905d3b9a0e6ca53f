"""What every route of the page needs at hand."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import TYPE_CHECKING, Any

from histofed.errors import ReviewError
from histofed.review.access import Access, Invitations, Names, Patience, Sessions
from histofed.review.pictures import Pictures
from histofed.review.pool import SlidePool
from histofed.review.scored import ScoreReader
from histofed.review.worklist import Worklist

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from histofed.review.data import ReviewData
    from histofed.review.store import ReviewStore


class Page:
    """A run as it is being reviewed.

    Parameters
    ----------
    store
        Where verdicts go.
    access
        Who may see the page.
    prefix
        Path under which a web server in front shows the page, ``/review``; empty for none.
    """

    def __init__(
        self,
        site: ReviewData,
        store: ReviewStore,
        *,
        access: Access | None = None,
        prefix: str = "",
    ) -> None:
        self.site = site
        self.store = store
        self.access = access or Access()
        self.prefix = checked_prefix(prefix)
        # Cookies of one machine's ports are not told apart by browsers.
        served = f"{store.path.resolve()}\n{site.model_digest}"
        name = hashlib.sha256(served.encode()).hexdigest()[:8]
        self.cookie_name = f"histofed_review_{name}"
        self.sessions = Sessions()
        self.names = Names(store)
        self.patience = Patience()
        self.invitations = Invitations(store)
        self.pool = SlidePool(site.slides)
        self.pictures = Pictures(site, self.pool)
        self.scores = ScoreReader(site)
        self.worklist = Worklist(site)
        self.verdicts = LatestVerdicts(store, model_digest=site.model_digest)

    def by_model(
        self, rows: Iterable[Mapping[str, Any]]
    ) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        """Part verdicts into those on what is shown, and those on another model's predictions.

        Those say nothing of this one's; nor do any on patients whom the run has no more.
        """
        shown: list[Mapping[str, Any]] = []
        others: list[Mapping[str, Any]] = []
        for row in rows:
            is_shown = row["patient_id"] in self.site.case_of
            is_shown &= row["model_digest"] == self.site.model_digest
            (shown if is_shown else others).append(row)
        return shown, others


class LatestVerdicts:
    """Each reviewer's latest verdict on each case of a model; asks only for what is new."""

    def __init__(self, store: ReviewStore, *, model_digest: str) -> None:
        self._store = store
        self._model_digest = model_digest
        self._lock = threading.Lock()
        self._seen = 0
        self._of: dict[str, dict[str, str]] = {}

    def all(self) -> dict[str, dict[str, str]]:
        """Return patient -> reviewer -> verdict."""
        with self._lock:
            rows = self._store.of_cases(model_digest=self._model_digest, since=self._seen)
            for number, patient_id, reviewer, verdict in rows:
                # Replaced, not changed: another thread may be looking at it.
                given = self._of.get(patient_id, {})
                self._of[patient_id] = given | {reviewer: verdict}
                self._seen = number
            return self._of


def checked_prefix(prefix: str) -> str:
    """Return a path without a slash at its end; empty for none.

    Raises
    ------
    ReviewError
        It is no plain path.
    """
    plain = prefix.rstrip("/")
    if plain and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", plain):
        msg = f"prefix is {prefix!r}; it is a path such as /review, of letters, digits and . _ ~ -"
        raise ReviewError(msg)
    return plain
