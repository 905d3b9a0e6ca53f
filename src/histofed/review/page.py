"""What every route of the page needs at hand."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import TYPE_CHECKING

from histofed.errors import ReviewError
from histofed.review.access import Access, Invitations, Names, Patience, Sessions
from histofed.review.pictures import Pictures
from histofed.review.pool import SlidePool
from histofed.review.scored import ScoreReader
from histofed.review.worklist import Worklist

if TYPE_CHECKING:
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
        name = hashlib.sha256(str(store.path.resolve()).encode()).hexdigest()[:8]
        self.cookie_name = f"histofed_review_{name}"
        self.sessions = Sessions()
        self.names = Names(store)
        self.patience = Patience()
        self.invitations = Invitations(store)
        self.pool = SlidePool(site.slides)
        self.pictures = Pictures(site, self.pool)
        self.scores = ScoreReader(site)
        self.worklist = Worklist(site)
        self.verdicts = LatestVerdicts(store)


class LatestVerdicts:
    """Each reviewer's latest verdict on each case; asks the store for what is new only."""

    def __init__(self, store: ReviewStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen = 0
        self._of: dict[str, dict[str, str]] = {}

    def all(self) -> dict[str, dict[str, str]]:
        """Return patient -> reviewer -> verdict."""
        with self._lock:
            for number, patient_id, reviewer, verdict in self._store.of_cases(since=self._seen):
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
