"""The table of a run, made from the records on disk: whoever did a slide, and wherever.

So every process of a job writes the same table, and any of them may be the last.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from histofed.io.queue import is_like
from histofed.io.tables import write_rows
from histofed.pipeline.slides import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from histofed.io.queue import Attempt, WorkQueue

OF_THE_RECORD = frozenset({"slide_id", "status", "seconds", "reason", "attempts", "host"})
"""Columns that a record has of itself; all others are its ``result``."""

COLUMNS = tuple(field.name for field in fields(Outcome))

UNKNOWN_AS_0 = ("width_px0", "height_px0", "mpp")
"""Columns that are never 0: their cell is empty where the slide was not opened."""

DEFAULTS = {each.name: each.default for each in fields(Outcome) if each.name not in OF_THE_RECORD}
"""Column of the ``result`` -> what it is where a record does not tell."""


def write_table(
    path: Path,
    keys: Mapping[str, str],
    *,
    queue: WorkQueue,
    mark: Callable[[str], str | None],
) -> list[Outcome]:
    """Write one row per slide; again, if another process ended a slide meanwhile.

    So the last table that is written, by whichever process, holds every slide.

    Parameters
    ----------
    keys
        Slide -> the key of the attempts that count for it.
    mark
        Slide -> what its result has that no other result of it has; None where there is none.
    """
    written = None
    while written != (outcomes := _outcomes(keys, queue, mark)):
        write_outcomes(path, outcomes)
        written = outcomes
    return outcomes


def write_outcomes(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write one row per slide."""
    rows = [
        [
            "" if name in UNKNOWN_AS_0 and not getattr(outcome, name) else getattr(outcome, name)
            for name in COLUMNS
        ]
        for outcome in outcomes
    ]
    write_rows(path, COLUMNS, rows)


def last_ended(history: Sequence[Attempt], key: str) -> Attempt | None:
    """Return the last attempt of this key that came to an end."""
    ended = [each for each in history if each.status != "working" and each.key == key]
    return ended[-1] if ended else None


def result_of(outcome: Outcome) -> dict[str, Any]:
    """Return what a record must keep of an outcome beside what it has of itself."""
    return {name: getattr(outcome, name) for name in COLUMNS if name not in OF_THE_RECORD}


def _outcomes(
    keys: Mapping[str, str], queue: WorkQueue, mark: Callable[[str], str | None]
) -> list[Outcome]:
    histories = {slide_id: queue.attempts(slide_id) for slide_id in keys}
    ended = {slide_id: last_ended(histories[slide_id], key) for slide_id, key in keys.items()}
    began_s = _job_began_s(queue.began_s, [each for each in ended.values() if each])
    outcomes = []
    for slide_id, last in ended.items():
        held = queue.is_held(histories[slide_id])
        if last is None or (last.status == "failed" and held):
            owner = histories[slide_id][-1].owner if held else ""
            reason = f"{owner}, works on it" if held else "not done yet"
            outcomes.append(Outcome(slide_id=slide_id, status="left", reason=reason))
        else:
            row = _outcome(slide_id, last, earlier=last.touched_s < began_s)
            standing = _standing(histories[slide_id], mark(slide_id)) if row.failed else None
            if standing is not None:
                row = replace(_outcome(slide_id, standing, earlier=True), reason=row.reason)
            outcomes.append(row)
    return outcomes


def _standing(history: Sequence[Attempt], mark: str | None) -> Attempt | None:
    """Return the attempt that made the result that is there, whatever its options were."""
    made = [each for each in history if each.status in ("done", "kept") and each.digest == mark]
    return made[-1] if mark and made else None


def _outcome(slide_id: str, ended: Attempt, *, earlier: bool) -> Outcome:
    """Return the row that a record makes; a column that it does not tell keeps its default."""
    reason = f"{ended.error}: {ended.message}" if ended.error else ""
    if earlier and ended.status == "failed":
        reason += f" (tried {ended.attempts} times; again when that is done, or with "
        reason += f"sharing.attempts={ended.attempts + 1})"
    found = ended.result
    known = {n: found[n] for n in DEFAULTS if n in found and is_like(found[n], DEFAULTS[n])}
    return Outcome(
        slide_id=slide_id,
        status="kept" if earlier and ended.status == "done" else ended.status,
        seconds=ended.seconds,
        reason=reason,
        attempts=ended.attempts,
        host=ended.host,
        **known,
    )


def _job_began_s(began_s: float, ended: Sequence[Attempt]) -> float:
    """Return when the job of a process began: it includes all processes that overlapped.

    A process that ended a slide after the job began belongs to it, so the job began with it. All
    processes of a job find the same time, from the records alone.
    """
    while ended:
        earliest = min([began_s, *(each.began_s for each in ended if each.touched_s >= began_s)])
        if earliest == began_s:
            break
        began_s = earliest
    return began_s
