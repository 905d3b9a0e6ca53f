"""Every slide once, however many processes run the same command on the same folder.

Each takes the next free slide (`histofed.io.queue`). What became of a slide, and the table of all,
come from the records on disk, so all processes end with the same table and the same exit code.

The work on a slide is a generator, because it has two parts: the slide is read, and then its last
tiles are still to be encoded. Meanwhile the next slide is taken and read. Everything here happens
on one thread; a process has claims on the slide that it reads and on those whose tiles wait.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from histofed.core.words import counted
from histofed.errors import OutputUnwritable, SlideError, StoreError
from histofed.io.atomic import sweep
from histofed.pipeline import terminal
from histofed.pipeline.interrupts import Interrupts
from histofed.pipeline.slides import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from histofed.core.types import Slide
    from histofed.io.queue import Claim
    from histofed.pipeline.shared_results import Look, SharedResults

WAIT_S = 2.0
"""Between two looks at slides that others work on, and a tenth of a second more for each."""

MOST_OPEN = 128
"""Slides that a process holds: each has a thread that touches its claim, and none is too many."""

Ended = Outcome | SlideError | StoreError | OSError

Steps = Generator[Future[Any] | float, None, Mapping[str, Ended]]
"""The work on a slide. It yields which part of it is done, 0 to 1, when it may be interrupted, and
what it waits for; it returns name of the results -> what became of the slide there."""

Work = Callable[["Slide", Sequence[str]], Steps]
"""Slide, names of the results it is to be done for -> the work on it."""


def one_result(work: Callable[[Slide], Generator[float, None, Outcome]]) -> Work:
    """Return work that waits for nothing and has one result."""

    def steps(slide: Slide, names: Sequence[str]) -> Steps:
        return dict.fromkeys(names, (yield from work(slide)))

    return steps


def each_slide(
    title: str,
    slides: Sequence[Slide],
    work: Work,
    *,
    results: Mapping[str, SharedResults],
    also_in: Sequence[Path] = (),
    flush: Callable[[], None] = lambda: None,
) -> dict[str, list[Outcome]]:
    """Have ``work`` done on every slide, go on past a bad one, and write the tables of outcomes.

    Parameters
    ----------
    results
        Name -> where results of the work are and belong. A slide that is done for some of them is
        done for the others only. The tables are ``slides.csv`` in their folders.
    also_in
        Other folders that ``work`` writes in: what killed processes left there is removed.
    flush
        Called when no work is begun before that which is waited for has ended.

    Raises
    ------
    OutputUnwritable
        No result can be written; other slides would fare no better.
    """
    shared = _SharedWork(work, results=results, flush=flush)
    with shared.interrupts:
        shared.until_done(title, slides)
        outcomes = {name: each.write_table() for name, each in results.items()}
        for each in results.values():
            stale_s = each.queue.now_s() - each.queue.stale_after_s
            for folder in (each.store.folder, each.queue.folder, *also_in):
                sweep(folder, before_s=stale_s)
    return outcomes


@dataclass(eq=False)
class _Job:
    """A slide that this process works on.

    Attributes
    ----------
    claims
        Name of the results -> our claim there, and what was known before.
    is_all
        Whether nothing is left to do on the slide after this.
    awaited
        What it waits for; None while it is read.
    """

    slide: Slide
    is_all: bool = False
    claims: dict[str, tuple[Claim, Look]] = field(default_factory=dict)
    steps: Steps | None = None
    awaited: Future[Any] | None = None

    def close(self) -> None:
        """Give back whatever was not finished."""
        if self.steps is not None:
            self.steps.close()
        for claim, _ in self.claims.values():
            claim.__exit__()


class _SharedWork:
    """What one process knows of the work that it shares."""

    def __init__(
        self, work: Work, *, results: Mapping[str, SharedResults], flush: Callable[[], None]
    ) -> None:
        self._work = work
        self._results = results
        self._flush = flush
        self._jobs: list[_Job] = []
        self._on_slide: Callable[..., None] = lambda **_: None
        self.interrupts = Interrupts()

    def until_done(self, title: str, slides: Sequence[Slide]) -> None:
        """Take free slides until every slide has an outcome, or only others' are left."""
        with terminal.stage(title, len(slides), unit="slides") as self._on_slide:
            try:
                self._take_all(slides)
            finally:
                with self.interrupts.held():
                    for job in self._jobs:
                        job.close()

    def _take_all(self, slides: Sequence[Slide]) -> None:
        left = list(slides)
        sharing = next(iter(self._results.values())).config.sharing
        # A slide whose process died may have killed it: it comes when all others are done. So does
        # a slide that others work on for some of the results: it may be free as a whole by then.
        is_last = waited = False
        while left:
            still = [slide for slide in left if not self._try(slide, is_last=is_last)]
            self._settle(most=0)
            idle, left = len(still) == len(left), still
            if not idle or not is_last:
                is_last = idle
                continue
            if not sharing.wait:
                break
            if not waited:
                slides_left = counted(len(left), "slide")
                terminal.say(f"waiting for {slides_left} that other processes work on")
                waited = True
            time.sleep(min(WAIT_S + len(left) / 10, sharing.stale_after_s / 4))

    def _try(self, slide: Slide, *, is_last: bool) -> bool:
        """See to a slide; False while part of it is not ours to take."""
        looks = {name: results.look(slide) for name, results in self._results.items()}
        wanted = {name: look for name, look in looks.items() if look.state != "settled"}
        if not wanted:
            self._on_slide(note=slide.slide_id)
            return True
        states = ("free", "died") if is_last else ("free",)
        free = {name: look for name, look in wanted.items() if look.state in states}
        if not free or (len(free) < len(wanted) and not is_last):
            return False
        died = [look for look in free.values() if look.state == "died"]
        # If it kills this process too, no other slide shall be suspected.
        self._settle(most=0 if died else MOST_OPEN - 1)
        job = self._claimed(slide, free)
        if job is None:
            return False
        job.is_all = len(job.claims) == len(wanted)
        if died:
            who = died[0].history[-1].owner
            terminal.say(f"{slide.slide_id}: {who}, died while working on it; trying again")
        self._begin(job)
        if died:
            self._settle(most=0)
        return job.is_all

    def _claimed(self, slide: Slide, looks: Mapping[str, Look]) -> _Job | None:
        """Take a slide. Whoever gets the first claim gets the others, unless he wants fewer."""
        with self.interrupts.held():
            job = _Job(slide)
            self._jobs.append(job)
            for name, look in looks.items():
                claim = self._results[name].claim(slide, look)
                if claim is not None:
                    job.claims[name] = claim.__enter__(), look
                elif not job.claims:
                    break
            if not job.claims:
                self._jobs.remove(job)
        return job if job.claims else None

    def _begin(self, job: _Job) -> None:
        """Read a slide, and meanwhile end the work on those whose features are there."""
        ended: dict[str, Ended] = {}
        for name, (_, look) in job.claims.items():
            try:
                self._results[name].discard_damaged(job.slide, look)
            except (StoreError, OSError) as error:
                ended[name] = error
        self._finish(job, ended)
        if not job.claims:
            return
        self._on_slide(0, note=job.slide.slide_id)
        job.steps = self._work(job.slide, list(job.claims))
        while job.claims and job.awaited is None:
            self._step(job)
            self._settle()

    def _step(self, job: _Job) -> None:
        """Go on with the work on a slide to its next pause, or to its end."""
        assert job.steps is not None
        ended: Mapping[str, Ended]
        try:
            done = next(job.steps)
        except StopIteration as end:
            ended = end.value
        except OutputUnwritable:
            raise
        except (SlideError, StoreError, OSError) as error:
            ended = dict.fromkeys(job.claims, error)
        else:
            if isinstance(done, Future):
                job.awaited = done
            else:
                self._on_slide(0, note=f"{job.slide.slide_id} {done:.0%}", part=done)
            return
        self._finish(job, ended)

    def _finish(self, job: _Job, ended: Mapping[str, Ended]) -> None:
        """Write what became of a slide, for some of the results that it was claimed for."""
        for name, each in ended.items():
            results, (claim, look), mark = self._results[name], job.claims[name], ""
            try:
                if isinstance(each, Outcome):
                    mark = results.mark_of(job.slide, each)
            except (SlideError, StoreError, OSError) as error:
                each = error
            if isinstance(each, Exception):
                self.interrupts.obey()
            results.finish(job.slide, claim, look, each, mark=mark)
            del job.claims[name]
        if not job.claims:
            self._jobs.remove(job)
            if job.is_all:
                self._on_slide(note=job.slide.slide_id)

    def _settle(self, *, most: float = math.inf) -> None:
        """End the work on slides whose features are there; wait while more than ``most`` wait."""
        while waiting := [job for job in self._jobs if job.awaited is not None]:
            if len(waiting) > most:
                self._flush()
                wait([job.awaited for job in waiting if job.awaited], return_when=FIRST_COMPLETED)
            ready = [job for job in waiting if job.awaited and job.awaited.done()]
            for job in ready:
                self._step(job)
            if not ready:
                break
