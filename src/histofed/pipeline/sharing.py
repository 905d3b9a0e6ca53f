"""Every slide once, however many processes run the same command on the same folder.

Each takes the next free slide (`histofed.io.queue`). What became of a slide, and the table of all,
come from the records on disk, so all processes end with the same table and the same exit code.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Protocol

from histofed.errors import (
    FileDamaged,
    NoTissue,
    OutputUnwritable,
    SlideError,
    SlideUnreadable,
    StoreError,
)
from histofed.io.atomic import sweep
from histofed.io.queue import RECORDS, WorkQueue
from histofed.io.readers import slide_files
from histofed.pipeline import terminal
from histofed.pipeline.interrupts import Interrupts
from histofed.pipeline.slide_table import last_ended, result_of, write_table
from histofed.pipeline.slides import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from histofed.core.types import Slide
    from histofed.io.queue import Attempt, Claim
    from histofed.pipeline.schema import TileConfig

WAIT_S = 2.0
"""Between two looks at slides that others work on, and a tenth of a second more for each."""


class ResultStore(Protocol):
    """A folder with one result per slide, which knows what each was made of."""

    folder: Path

    def path(self, slide_id: str) -> Path:
        """Return where the result of a slide is or would be."""

    def digest(self, slide_id: str) -> str | None:
        """Return the digest of a result, or None where there is none."""

    def mark(self, slide_id: str) -> str | None:
        """Return what changes whenever the result does, or None where there is none."""


def each_slide(
    title: str,
    slides: Sequence[Slide],
    work: Callable[[Slide], Outcome],
    *,
    store: ResultStore,
    recipe_digest: str,
    source_digest: Callable[[str], str],
    config: TileConfig,
    also_in: Sequence[Path] = (),
) -> list[Outcome]:
    """Have ``work`` done on every slide, go on past a bad one, and write the table of outcomes.

    Parameters
    ----------
    store
        Where ``work`` writes its results. The table is ``slides.csv`` in its folder.
    recipe_digest
        Digest of every option that a result depends on.
    source_digest
        Slide -> digest of whatever else its result depends on, such as a region drawn by hand.
    also_in
        Other folders that ``work`` writes in: what killed processes left there is removed.

    Raises
    ------
    OutputUnwritable
        No result can be written; other slides would fare no better.
    """
    shared = _SharedWork(
        work,
        store=store,
        recipe_digest=recipe_digest,
        source_digest=source_digest,
        config=config,
    )
    with shared.interrupts:
        shared.until_done(title, slides)
        outcomes = write_table(store.folder / "slides.csv", shared.keys, queue=shared.queue)
        stale_s = shared.queue.now_s() - config.sharing.stale_after_s
        for folder in (store.folder, shared.queue.folder, *also_in):
            sweep(folder, before_s=stale_s)
    return outcomes


class _SharedWork:
    """What one process knows of the work that it shares.

    Attributes
    ----------
    keys
        Slide -> digest of everything that its outcome depends on, when last looked at.
    """

    def __init__(
        self,
        work: Callable[[Slide], Outcome],
        *,
        store: ResultStore,
        recipe_digest: str,
        source_digest: Callable[[str], str],
        config: TileConfig,
    ) -> None:
        self._work = work
        self._store = store
        self._recipe_digest = recipe_digest
        self._source_digest = source_digest
        self._config = config
        stale_after_s = config.sharing.stale_after_s
        self.queue = WorkQueue(store.folder / RECORDS, stale_after_s=stale_after_s)
        self._began_s = self.queue.began_s
        self.interrupts = Interrupts()
        self.keys: dict[str, str] = {}

    def until_done(self, title: str, slides: Sequence[Slide]) -> None:
        """Take free slides until every slide has an outcome, or only others' are left."""
        left = list(slides)
        # A slide whose process died may have killed it: it comes when all others are done.
        after_a_death = waited = False
        with terminal.stage(title, len(slides), unit="slides") as step:
            while left:
                still = []
                for slide in left:
                    if self._try(slide, after_a_death=after_a_death):
                        step(note=slide.slide_id)
                    else:
                        still.append(slide)
                idle, left = len(still) == len(left), still
                if not idle or not after_a_death:
                    after_a_death = idle
                    continue
                if not self._config.sharing.wait:
                    break
                if not waited:
                    terminal.say(f"waiting for {len(left)} slides that other processes work on")
                    waited = True
                time.sleep(min(WAIT_S + len(left) / 10, self.queue.stale_after_s / 4))

    def _try(self, slide: Slide, *, after_a_death: bool) -> bool:
        """See to a slide; False while it is not ours to take."""
        key = self.keys[slide.slide_id] = self._key(slide)
        history = self.queue.attempts(slide.slide_id)
        ended = last_ended(history, key)
        if ended and ended.status != "failed" and self._is_true(slide, ended):
            return True
        if self.queue.is_held(history):
            return False
        if ended and ended.status == "failed" and not self._may_try_again(ended):
            return True
        died = bool(history) and history[-1].status == "working" and not history[-1].released
        if died and not after_a_death:
            return False
        with self.interrupts.held():
            claim = self.queue.claim(slide.slide_id, key, history=history)
            if claim is None:
                return False
            with claim, self.interrupts.let_in():
                if died:
                    who = history[-1].owner
                    terminal.say(f"{slide.slide_id}: {who}, died while working on it; trying again")
                self._do(slide, claim, history)
        return True

    def _do(self, slide: Slide, claim: Claim, history: Sequence[Attempt]) -> None:
        """Do the work on a claimed slide, and write what became of it."""
        outcome = Outcome(slide_id=slide.slide_id, status="failed")
        digest, problem = "", None
        try:
            if any(attempt.status in ("done", "kept") for attempt in history):
                self._discard_damaged(slide)
            outcome = self._work(slide)
            self._check_unchanged(slide, outcome)
            digest = self._store.mark(slide.slide_id) or ""
        except OutputUnwritable:
            raise
        except (SlideError, StoreError, OSError) as error:
            self.interrupts.obey()
            problem = error
        if isinstance(problem, NoTissue) and self._config.overwrite:  # a result of other options
            self._store.path(slide.slide_id).unlink(missing_ok=True)
        before = last_ended(history, self.keys[slide.slide_id])
        claim.finish(
            outcome.status if problem is None else _status(problem),
            # A refusal to reuse a file costs nothing and ends when the file is gone.
            attempts=(before.attempts if before else 0) + (not isinstance(problem, StoreError)),
            error=type(problem).__name__ if problem else "",
            message=str(problem or ""),
            digest=digest,
            result=result_of(outcome),
        )

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
            drawn = self._source_digest(slide.slide_id)
        except (SlideError, OSError):  # the work says why
            drawn = "missing"
        facts = [self._recipe_digest, drawn, slide.mpp, self._config.mpp, files]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _is_true(self, slide: Slide, ended: Attempt) -> bool:
        """Whether what the record promises is there."""
        if ended.status == "empty":
            return True
        try:
            return self._store.mark(slide.slide_id) == ended.digest
        except StoreError:
            return False

    def _may_try_again(self, failed: Attempt) -> bool:
        """Whether a failure is an earlier run's and not the last one allowed."""
        if failed.touched_s >= self._began_s:
            return False
        return self._config.overwrite or failed.attempts < self._config.sharing.attempts

    def _discard_damaged(self, slide: Slide) -> None:
        """Remove a result that is ours, by its record, and can no longer be read."""
        try:
            self._store.digest(slide.slide_id)
        except FileDamaged:
            self._store.path(slide.slide_id).unlink(missing_ok=True)

    def _check_unchanged(self, slide: Slide, outcome: Outcome) -> None:
        """Refuse, and remove, the result of a slide that was replaced while it was read."""
        if outcome.status == "done" and self._key(slide) != self.keys[slide.slide_id]:
            self._store.path(slide.slide_id).unlink(missing_ok=True)
            msg = f"slide {slide.slide_id}: {slide.path} changed while it was read; run again when "
            msg += "it is copied whole"
            raise SlideUnreadable(msg)


def _status(problem: Exception) -> str:
    return "empty" if isinstance(problem, NoTissue) else "failed"
