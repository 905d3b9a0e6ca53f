"""A folder of results that many processes fill: what became of each slide, and whose it is now.

Everything is in the records on disk (`histofed.io.queue`), beside the results that they speak of. A
verb with several folders of results has records in each, so whoever fills one of them needs not
know of the others.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from histofed.errors import FileDamaged, NoTissue, SlideError, SlideUnreadable, StoreError
from histofed.io.queue import RECORDS, WorkQueue
from histofed.io.readers import slide_files
from histofed.pipeline.slide_table import last_ended, result_of, write_table
from histofed.pipeline.slides import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from histofed.core.types import Slide
    from histofed.io.queue import Attempt, Claim
    from histofed.pipeline.schema_data import TileConfig

State = Literal["settled", "held", "died", "free"]


class ResultStore(Protocol):
    """A folder with one result per slide, which knows what each was made of."""

    folder: Path

    def path(self, slide_id: str) -> Path:
        """Return where the result of a slide is or would be."""

    def digest(self, slide_id: str) -> str | None:
        """Return the digest of a result, or None where there is none."""

    def mark(self, slide_id: str) -> str | None:
        """Return what changes whenever the result does, or None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the records said of a slide.

    Attributes
    ----------
    state
        ``settled``: nothing to do. ``held``: a living process works on it. ``died``: a process died
        while it worked on it. ``free``: to be done.
    key
        Digest of everything that its outcome depends on.
    """

    state: State
    key: str
    history: Sequence[Attempt]


@dataclass
class SharedResults:
    """One folder of results and its records.

    Attributes
    ----------
    recipe_digest
        Digest of every option that a result depends on.
    source_digest
        Slide -> digest of whatever else its result depends on, such as a region drawn by hand.
    keys
        Slide -> digest of everything that its outcome depends on, when last looked at.
    """

    store: ResultStore
    recipe_digest: str
    source_digest: Callable[[str], str]
    config: TileConfig
    queue: WorkQueue = field(init=False)
    keys: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Note when the work began: a failure after that is not tried again."""
        stale_after_s = self.config.sharing.stale_after_s
        self.queue = WorkQueue(self.store.folder / RECORDS, stale_after_s=stale_after_s)
        self._began_s = self.queue.began_s

    def look(self, slide: Slide) -> Look:
        """Return what is to be done about a slide."""
        key = self.keys[slide.slide_id] = self._key(slide)
        history = self.queue.attempts(slide.slide_id)
        return Look(state=self._state(slide, key, history), key=key, history=history)

    def claim(self, slide: Slide, look: Look) -> Claim | None:
        """Take a slide that is ours to take; None if another process was faster."""
        return self.queue.claim(slide.slide_id, look.key, history=look.history)

    def discard_damaged(self, slide: Slide, look: Look) -> None:
        """Remove a result that is ours, by its record, and can no longer be read."""
        if any(attempt.status in ("done", "kept") for attempt in look.history):
            try:
                self.store.digest(slide.slide_id)
            except FileDamaged:
                self.store.path(slide.slide_id).unlink(missing_ok=True)

    def mark_of(self, slide: Slide, outcome: Outcome) -> str:
        """Return the mark of a result that was just made.

        Raises
        ------
        SlideUnreadable
            The slide was replaced while it was read; the result is removed.
        """
        if outcome.status == "done" and self._key(slide) != self.keys[slide.slide_id]:
            self.store.path(slide.slide_id).unlink(missing_ok=True)
            msg = f"slide {slide.slide_id}: {slide.path} changed while it was read; run again when "
            msg += "it is copied whole"
            raise SlideUnreadable(msg)
        return self.store.mark(slide.slide_id) or ""

    def finish(
        self, slide: Slide, claim: Claim, look: Look, ended: Outcome | Exception, *, mark: str = ""
    ) -> None:
        """Write what became of a claimed slide."""
        problem = ended if isinstance(ended, Exception) else None
        if isinstance(problem, NoTissue) and self.config.overwrite:  # a result of other options
            self.store.path(slide.slide_id).unlink(missing_ok=True)
        failed = Outcome(slide_id=slide.slide_id, status=_status(problem))
        outcome = ended if isinstance(ended, Outcome) else failed
        before = last_ended(look.history, look.key)
        claim.finish(
            outcome.status,
            # A refusal to reuse a file costs nothing and ends when the file is gone.
            attempts=(before.attempts if before else 0) + (not isinstance(problem, StoreError)),
            error=type(problem).__name__ if problem else "",
            message=str(problem or ""),
            digest=mark,
            result=result_of(outcome),
        )

    def write_table(self) -> list[Outcome]:
        """Write ``slides.csv``: what became of every slide, whoever did it."""
        path = self.store.folder / "slides.csv"
        return write_table(path, self.keys, queue=self.queue, mark=self._mark)

    def _state(self, slide: Slide, key: str, history: Sequence[Attempt]) -> State:
        ended = last_ended(history, key)
        if ended and ended.status != "failed" and self._is_true(slide, ended):
            return "settled"
        if self.queue.is_held(history):
            return "held"
        if ended and ended.status == "failed" and not self._may_try_again(ended):
            return "settled"
        died = bool(history) and history[-1].status == "working" and not history[-1].released
        return "died" if died else "free"

    def _key(self, slide: Slide) -> str:
        """Return a digest of all that the outcome depends on.

        The slide counts by size and times of modification and change: unlike a digest of its
        content they cost nothing, and nobody can replace a file without a new time of change.
        """
        try:
            stats = [file.stat() for file in slide_files(slide.path)] if slide.path else []
        except OSError:
            stats = []
        files = [[stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for stat in stats]
        try:
            drawn = self.source_digest(slide.slide_id)
        except (SlideError, OSError):  # the work says why
            drawn = "missing"
        facts = [self.recipe_digest, drawn, slide.mpp, self.config.mpp, files]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _is_true(self, slide: Slide, ended: Attempt) -> bool:
        """Whether what the record promises is there."""
        if ended.status == "empty":
            return True
        return self._mark(slide.slide_id) == ended.digest

    def _mark(self, slide_id: str) -> str | None:
        """Return the mark of the result that is there; None where none can be read."""
        try:
            return self.store.mark(slide_id)
        except StoreError:
            return None

    def _may_try_again(self, failed: Attempt) -> bool:
        """Whether a failure is an earlier run's and not the last one allowed."""
        if failed.touched_s >= self._began_s:
            return False
        return self.config.overwrite or failed.attempts < self.config.sharing.attempts


def _status(problem: Exception | None) -> str:
    return "empty" if isinstance(problem, NoTissue) else "failed"
