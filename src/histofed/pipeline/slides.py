"""What tiling and extraction share: which slides, and one bad slide does not stop the others."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from histofed.core.types import Slide
from histofed.errors import ConfigError, SlideError, SlideUnreadable, StoreError
from histofed.io.readers import find_slides
from histofed.io.tables import read_slides, with_mpp_table, write_rows
from histofed.pipeline import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.pipeline.schema import TileConfig

WORK_LEFT = 3
"""Exit code: some slides are not done; the same command tries them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one slide.

    Attributes
    ----------
    status
        ``done`` now, ``kept`` from an earlier run with the same options, or ``failed``.
    n_tiles
        Tiles kept.
    no_tissue
        Tiles of the grid that hold too little tissue.
    unreadable, off_stain, pen, blur, dark, fat
        Tiles dropped by that flag, each counted once, by its first.
    flagged
        Kept tiles that have a flag all the same.
    reason
        Class and message of the failure.
    """

    slide_id: str
    status: str
    n_tiles: int = 0
    no_tissue: int = 0
    unreadable: int = 0
    off_stain: int = 0
    pen: int = 0
    blur: int = 0
    dark: int = 0
    fat: int = 0
    flagged: int = 0
    width_px0: int = 0
    height_px0: int = 0
    mpp: float = 0.0
    seconds: float = 0.0
    reason: str = ""


def chosen_slides(config: TileConfig) -> list[Slide]:
    """Return the slides that the options name.

    Raises
    ------
    ConfigError
        None or both of ``slides`` and ``cohort``, no slide found, or two slides of one name.
    """
    if (config.slides is None) == (config.cohort is None):
        msg = "name the slides with either slides=SLIDE_OR_FOLDER or cohort=TABLE"
        raise ConfigError(msg)
    if config.cohort is not None:
        slides = read_slides(Path(config.cohort))
    else:
        slides = [
            Slide(slide_id=path.stem, patient_id=path.stem, site="", path=path)
            for path in find_slides(Path(str(config.slides)))
        ]
    if not slides:
        msg = f"no slide found in {config.slides or config.cohort}"
        raise ConfigError(msg)
    _refuse_twins(slides)
    return slides if config.mpp_table is None else with_mpp_table(slides, Path(config.mpp_table))


def each_slide(
    title: str, slides: list[Slide], work: Callable[[Slide], Outcome], *, table: Path
) -> list[Outcome]:
    """Do ``work`` on every slide, write the table of outcomes, and go on past a bad slide."""
    outcomes = []
    with terminal.stage(title, len(slides), unit="slides") as step:
        for slide in slides:
            started = time.monotonic()
            try:
                outcome = work(slide)
            except (SlideError, StoreError, OSError) as error:
                reason = f"{type(error).__name__}: {error}"
                outcome = Outcome(slide_id=slide.slide_id, status="failed", reason=reason)
            outcomes.append(replace(outcome, seconds=round(time.monotonic() - started, 2)))
            step(note=slide.slide_id)
    names = [field.name for field in fields(Outcome)]
    write_rows(table, names, [[getattr(outcome, name) for name in names] for outcome in outcomes])
    return outcomes


def close(verb: str, outcomes: list[Outcome], *, folder: Path, table: Path, following: str) -> int:
    """Show failures and the closing panel; return the exit code."""
    counts = Counter(outcome.status for outcome in outcomes)
    for outcome in outcomes:
        if outcome.status == "failed":
            terminal.console.print(
                f"[red]failed[/] {escape(outcome.slide_id)}: {escape(outcome.reason)}"
            )
    said = {
        "done": f"{counts['done']} slides",
        "kept": f"{counts['kept']} slides were done before, with the same options",
        "failed": f"{counts['failed']} slides; reasons in {table}",
    }
    facts = {name: text for name, text in said.items() if counts[name]}
    if not counts["done"] and not counts["failed"]:
        facts = {"nothing to do": f"all {counts['kept']} slides are there, with the same options"}
    facts |= {
        "tiles": f"{sum(outcome.n_tiles for outcome in outcomes):,}",
        "output": str(folder),
        "table": str(table),
    }
    terminal.closing(verb, facts, next_command=following)
    return WORK_LEFT if counts["failed"] else 0


def slide_path(slide: Slide) -> Path:
    """Return where the slide is; a bag without a slide is refused by name."""
    if slide.path is None:
        msg = f"slide {slide.slide_id}: the cohort table names no file in column path"
        raise SlideUnreadable(msg)
    return slide.path


def check_same(path: Path, *, found: str, wanted: str, overwrite: bool) -> None:
    """Refuse to reuse, or to silently replace, a file that was made otherwise.

    Raises
    ------
    StoreError
        The digests differ and ``overwrite`` was not asked for.
    """
    if found != wanted and not overwrite:
        msg = (
            f"{path} was made with other options or from another slide of this name; choose "
            "another folder (work=...) or replace it (overwrite=true)"
        )
        raise StoreError(msg)


def _refuse_twins(slides: list[Slide]) -> None:
    first: dict[str, Slide] = {}
    for slide in slides:
        if other := first.get(slide.slide_id):
            msg = (
                f"{other.path} and {slide.path} would both be called {slide.slide_id}; name them "
                "apart in a cohort table (column slide_id)"
            )
            raise ConfigError(msg)
        first[slide.slide_id] = slide
