"""What tiling and extraction share: which slides, what became of each, and the closing words."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from histofed.core.types import Slide
from histofed.core.words import counted
from histofed.errors import ConfigError, SlideUnreadable, StoreError
from histofed.io.mpp_table import with_mpp_table
from histofed.io.readers import (
    SLIDE_SUFFIXES,
    find_slides,
    image_folders,
    open_slide,
    slide_name,
)
from histofed.io.tables import check_name, read_slides
from histofed.pipeline import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.io.readers import SlideReader
    from histofed.io.store import Record
    from histofed.pipeline.schema_data import TileConfig

WORK_LEFT = 3
"""Exit code: some slides are not done; the same command tries them again."""

LEFT_TO_OTHERS = 4
"""Exit code: nothing is left here, but other processes still work on slides of this command."""

NAMED = 5
"""Slides without tissue that the closing panel names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one slide: a row of the table, and part of the slide's record.

    A new column is a new field with a default.

    Attributes
    ----------
    status
        ``done`` by this job, ``kept`` from an earlier one with the same options, ``empty`` (no
        tissue, so no tiles and no features), ``failed``, or ``left`` to another process.
    n_tiles
        Tiles kept.
    no_tissue
        Tiles of the grid that hold too little tissue.
    over_border
        Tiles with enough tissue that are none: they hang over the slide's border, or their image's.
    unreadable, off_stain, pen, blur, dark, fat
        Tiles dropped by that flag, each counted once, by its first.
    flagged
        Kept tiles that have a flag all the same.
    reader
        Which reader was chosen and, where it is the slower one, why.
    decoded_per_touched
        Stored blocks that were decoded for each one needed; 0 where the reader does not tell.
    engine
        How the encoder's arithmetic was carried out.
    seconds
        From taking the slide to writing its result, when it was done; the next one begins before.
    reason
        Class and message of the failure. A ``kept`` row with a reason tells of the result that
        is there: it was made by other options, and the last command failed to make its own.
    attempts
        Tries with these options on this very slide.
    host
        Machine that did it.
    """

    slide_id: str
    status: str
    n_tiles: int = 0
    no_tissue: int = 0
    over_border: int = 0
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
    reader: str = ""
    decoded_per_touched: float = 0.0
    engine: str = ""
    seconds: float = 0.0
    reason: str = ""
    attempts: int = 0
    host: str = ""

    @property
    def failed(self) -> bool:
        """Whether the last command failed, be an earlier result there or not."""
        return self.status == "failed" or (self.status == "kept" and bool(self.reason))


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
        root = Path(str(config.slides))
        paths = find_slides(root) or image_folders(root)  # beside slides, images are of them
        found = {path: slide_name(path) for path in paths}
        slides = [
            Slide(slide_id=name, patient_id=name, site="", path=path)
            for path, name in found.items()
        ]
        for slide in slides:
            check_name("slide_id", slide.slide_id, f"slides={config.slides}")
    if not slides and config.slides is not None:
        n_files = sum(path.is_file() for path in Path(config.slides).rglob("*"))
        others = counted(n_files, "other file")
        msg = f"no slide found in {config.slides}: it holds {others}; a slide ends in "
        msg += f"{', '.join(sorted(SLIDE_SUFFIXES))}, or is a folder of images"
        raise ConfigError(msg)
    if not slides:
        msg = f"no slide found in {config.cohort}: the table has no row"
        raise ConfigError(msg)
    _refuse_twins(slides, f"cohort={config.cohort}" if config.cohort else f"slides={config.slides}")
    return slides if config.mpp_table is None else with_mpp_table(slides, Path(config.mpp_table))


def close(verb: str, outcomes: list[Outcome], *, folder: Path, table: Path, following: str) -> int:
    """Show failures and the closing panel; return the exit code.

    What follows is only said where there is a result to go on with.
    """
    counts = Counter("failed" if each.failed else each.status for each in outcomes)
    failed = [each for each in outcomes if each.failed]
    for outcome in failed:
        terminal.console.print(
            f"[red]failed[/] {escape(outcome.slide_id)}: {escape(outcome.reason)}"
        )
    said = {
        "done": counted(counts["done"], "slide"),
        "kept": f"{counted(counts['kept'], 'slide')} done before, with the same options",
        "empty": f"{_names(outcomes, 'empty')}: no tissue, so no tiles; reasons in {table}",
        "failed": f"{counted(counts['failed'], 'slide')}; reasons in {table}{_standing(failed)}",
        "left": f"{counted(counts['left'], 'slide')} that other processes work on",
    }
    facts = {name: text for name, text in said.items() if counts[name]}
    if counts["kept"] and not counts.keys() - {"kept", "empty"}:
        del facts["kept"]
        there = f"{counted(counts['kept'], 'slide')} there already, with the same options"
        facts = {"nothing to do": there} | facts
    facts |= {
        "tiles": f"{sum(each.n_tiles for each in outcomes if not each.failed):,}",
        **_flagged(outcomes),
        "output": str(folder),
        "table": str(table),
    }
    terminal.closing(verb, facts, next_command=following if counts["done"] + counts["kept"] else "")
    if counts["failed"]:
        return WORK_LEFT
    return LEFT_TO_OTHERS if counts["left"] else 0


def _standing(failed: list[Outcome]) -> str:
    """Return what is to be said of earlier results of slides that have failed now."""
    n_standing = sum(each.status == "kept" for each in failed)
    return f"; earlier files of {n_standing} stand, and the table tells of them" * (n_standing > 0)


def _flagged(outcomes: list[Outcome]) -> dict[str, str]:
    """Return the line on kept tiles that have a flag, where there are any."""
    n_flagged = sum(each.flagged for each in outcomes if not each.failed)
    return {"flagged": f"{n_flagged:,} of them (quality.drop drops more)"} if n_flagged else {}


def _names(outcomes: list[Outcome], status: str) -> str:
    """Return the slides of one status, the first few by name."""
    names = [outcome.slide_id for outcome in outcomes if outcome.status == status]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{counted(len(names), 'slide')} ({', '.join(names[:NAMED])}{more})"


def opened(slide: Slide, config: TileConfig) -> SlideReader:
    """Open a slide as the options say."""
    return open_slide(
        slide_path(slide),
        mpp=slide.mpp,
        fallback_mpp=config.mpp,
        fast=config.reader == "auto",
    )


def slide_path(slide: Slide) -> Path:
    """Return where the slide is; a bag without a slide is refused by name."""
    if slide.path is None:
        msg = f"slide {slide.slide_id}: the cohort table names no file in column path"
        raise SlideUnreadable(msg)
    return slide.path


def check_same(
    path: Path,
    *,
    found: str,
    wanted: str,
    overwrite: bool,
    option: str = "work",
    records: Callable[[], tuple[Record, Record]] | None = None,
) -> None:
    """Refuse to reuse, or to silently replace, a file that was made otherwise.

    Parameters
    ----------
    found, wanted
        Digests of how the file was made and of how it would be made now.
    records
        Gives both in full, to say where they differ.

    Raises
    ------
    StoreError
        The digests differ and ``overwrite`` was not asked for.
    """
    if found == wanted or overwrite:
        return
    how = "with other options or from another slide of this name"
    if records is not None:
        how = f"otherwise: {'; '.join(differences(*records()))}"
    msg = f"{path} was made {how}; choose another folder ({option}=...) or replace it "
    msg += "(overwrite=true)"
    raise StoreError(msg)


DIFFERENCES = 4
"""Differences between two records that a message names."""


def differences(found: Record, wanted: Record) -> list[str]:
    """Return where two records differ, in the words of the options."""
    old, new = _flat(asdict(found)), _flat(asdict(wanted))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    said = [
        f"{name} was {old.get(name, 'not set')}, is {new.get(name, 'not set')}" for name in names
    ]
    if "encoder_digest" in names:
        said = [
            each for each in said if not each.startswith(("encoder_digest ", "weights_digest "))
        ]
        if "encoder" not in names:
            said.insert(0, f"{new['encoder']} had other weights, another precision or card")
    if "slide_digest" in names:
        said = [
            "it is of another slide of this name",
            *(each for each in said if "digest" not in each),
        ]
    more = [f"and {len(said) - DIFFERENCES} more"] if len(said) > DIFFERENCES else []
    return [*said[:DIFFERENCES], *more]


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``name.name`` -> value; the recipe's parts are called as their options are."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            word = {"recipe": "", "spec": "tiling."}.get(name, f"{name}.")
            flat |= _flat(value, prefix + word)
        else:
            flat[prefix + name] = value
    return flat


def _refuse_twins(slides: list[Slide], where: str) -> None:
    """Refuse slides that would write the same files."""
    times = Counter(slide.slide_id for slide in slides)
    name, n_twins = times.most_common(1)[0]
    if n_twins == 1:
        return
    files = [str(slide.path or "no file") for slide in slides if slide.slide_id == name]
    others = sum(n > 1 for n in times.values()) - 1
    also = f" ({counted(others, 'other name')} likewise)" if others else ""
    msg = (
        f"{where}: {' and '.join(files[:2])} would both be called {name}{also}; name them apart in "
        "a cohort table (column slide_id)"
    )
    raise ConfigError(msg)
