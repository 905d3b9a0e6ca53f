"""The cohort table: CSV with a header, every bad row named.

It has one row per slide: ``patient_id, slide_id, site, path``, the task's columns,
and optionally ``mpp`` (microns per pixel, where a slide does not say). ``path`` is relative to the
table; it may be empty for bags that came as features.
"""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from histofed.core.cohort import Cohort
from histofed.core.tiling import MAX_MPP, MIN_MPP
from histofed.core.types import Slide
from histofed.core.words import counted
from histofed.errors import CohortError
from histofed.io.atomic import atomic_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from histofed.core.tasks import Label, Task

COHORT_COLUMNS = ("patient_id", "slide_id", "site", "path")

MAX_NAME_BYTES = 120


def read_cohort(path: Path, task: Task, *, keep_unknown: bool = False) -> Cohort:
    """Read a cohort table for one task; patients whose label is not known are left out.

    Parameters
    ----------
    keep_unknown
        Take them too, with a label of NaN; the table may even lack the task's columns.

    Raises
    ------
    CohortError
        The table or a column is missing, or a row is at fault: the row is named.
    """
    labels: dict[str, Label] = {}
    left_out: set[str] = set()
    slides = []
    spelled: dict[str, str] = {}
    owner: dict[Path, str] = {}
    unknown: Label = (math.nan,) * len(task.label_names)
    for slide, cells, where in _cohort_rows(path, task, lacking=keep_unknown):
        earlier = spelled.setdefault(one_spelling(slide.patient_id), slide.patient_id)
        if earlier != slide.patient_id:
            msg = f"{where}: also written {earlier!r}; two spellings of one patient could "
            msg += "be in training and in test: write the name in one way"
            raise CohortError(msg)
        if slide.path and owner.setdefault(slide.path, slide.patient_id) != slide.patient_id:
            msg = f"{where}: {slide.path.name} is also the slide of {owner[slide.path]}; an image "
            msg += "belongs to one patient"
            raise CohortError(msg)
        label = task.label(cells, where)
        if label is None and keep_unknown:
            label = unknown
        if label is None:
            left_out.add(slide.patient_id)
            continue
        if str(labels.setdefault(slide.patient_id, label)) != str(label):  # NaN is not itself
            said = ", ".join(repr(cell) for cell in cells.values())
            msg = f"{where}: this slide says {said}, an earlier slide of the patient says "
            msg += f"otherwise; {_asked(task)} is per patient"
            raise CohortError(msg)
        slides.append(slide)
    if torn := sorted(left_out & labels.keys()):
        msg = f"{path}: {_asked(task)} is empty on some slides of {torn[0]} and filled on "
        msg += "others; it is per patient"
        raise CohortError(msg)
    if not slides:
        msg = f"{path}: no row has a known value in {_asked(task)}"
        raise CohortError(msg)
    return Cohort(name=path.resolve().parent.name, slides=tuple(slides), labels=labels)


def one_spelling(patient_id: str) -> str:
    """Return what two spellings of one patient have in common."""
    return unicodedata.normalize("NFC", patient_id).casefold()


def _asked(task: Task) -> str:
    return f"column {', '.join(repr(name) for name in task.columns)}"


def read_slides(path: Path) -> list[Slide]:
    """Read only the slides of a cohort table: no label is needed to tile or extract."""
    return [slide for slide, _, _ in _cohort_rows(path, None)]


def mpp_of(cell: str, where: str) -> float | None:
    """Return a cell's microns per pixel; None where it is empty.

    Raises
    ------
    CohortError
        It is no number, or none of a microscope.
    """
    try:
        mpp = float(cell) if cell else None
    except ValueError:
        msg = f"{where}: mpp is {cell!r}, not a number of microns per pixel; {_written(cell)}"
        raise CohortError(msg) from None
    if mpp is not None and not MIN_MPP <= mpp <= MAX_MPP:
        msg = f"{where}: mpp is {cell}; it must be {MIN_MPP:g} to {MAX_MPP:g}: what no optics give "
        msg += "is probably not microns per pixel; correct it"
        raise CohortError(msg)
    return mpp


def _written(cell: str) -> str:
    """Return how a resolution is to be written, for what people write instead."""
    numbers = re.findall(r"\d+(?:[.,]\d+)?", cell)
    if len(numbers) == 2 and re.fullmatch(r"[\d.,\s]+[x×*/;|\s][\d.,\s]+", cell.lower()):
        return "a pixel is square, so one number is wanted: export the slide with square pixels"
    if len(numbers) == 1:
        return f"write the number alone and with a point: {numbers[0].replace(',', '.')}"
    return "write a number as 0.25"


def _cohort_rows(
    path: Path, task: Task | None, *, lacking: bool = False
) -> Iterable[tuple[Slide, dict[str, str], str]]:
    """Yield each row as (slide, the task's cells by column, where it stands).

    Where the table may be ``lacking`` the task's columns, their cells are empty.
    """
    asked = task.columns if task else ()
    columns = (*COHORT_COLUMNS, *asked)
    if path.is_dir():
        msg = f"cohort={path} is a folder; name the table in it"
        raise CohortError(msg)
    if not path.is_file():
        msg = (
            f"cohort table {path} is not there. It has one row per slide with the columns "
            f"{', '.join(columns)} (and mpp, where a slide does not say its own); name yours with "
            "cohort=PATH"
        )
        raise CohortError(msg)
    with open_text(path) as file:
        reader = csv.DictReader(file)
        found = reader.fieldnames or []
        check_header(path, list(found), COHORT_COLUMNS if lacking else columns)
        for row in reader:
            where = f"{path}, line {reader.line_num}, patient {row['patient_id'] or '?'}"
            check_cells(row, where)
            yield (
                _slide(row, path.parent, where),
                {name: row.get(name) or "" for name in asked},
                where,
            )


def check_header(path: Path, found: list[str], columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column or has one twice."""
    if missing := [name for name in columns if name not in found]:
        msg = (
            f"{path}: without {_columns(missing)}; the table has {', '.join(found) or 'no header'}"
        )
        if len(found) == 1:
            msg += "; cells are separated by commas"
        raise CohortError(msg)
    if twice := sorted({name for name in found if found.count(name) > 1}):
        msg = f"{path}: it has {_columns(twice)} twice; which one counts is not said"
        raise CohortError(msg)


def _columns(names: Sequence[str]) -> str:
    return f"{'column' if len(names) == 1 else 'columns'} {', '.join(names)}"


def check_cells(row: Mapping[Any, Any], where: str) -> None:
    """Refuse a row of more or fewer cells than the header; `csv.DictReader` files both by None."""
    if None in row or None in row.values():
        named = [value for name, value in row.items() if name is not None]
        n_cells = sum(value is not None for value in named) + len(row.get(None) or ())
        msg = f"{where}: the row has {counted(n_cells, 'cell')}, the header {len(named)}; quote "
        msg += "cells that hold a comma"
        raise CohortError(msg)


def check_name(name: str, value: str, where: str) -> None:
    """Refuse an id that would not make a file name.

    Raises
    ------
    CohortError
        It holds a slash, starts with a dot, or is too long.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in value):  # bytes of a file's name
        msg = f"{where}: {name} {value!r} is not UTF-8 text; rename the file"
        raise CohortError(msg)
    if value.startswith("contact-sheet-"):
        msg = f"{where}: {name} {value!r} is the name of a contact sheet; rename it"
        raise CohortError(msg)
    if "/" in value or "\\" in value or value.startswith("."):
        msg = f"{where}: {name} {value!r} names files, so it cannot hold a slash or start "
        msg += "with a dot"
        raise CohortError(msg)
    if len(value.encode()) > MAX_NAME_BYTES:
        msg = f"{where}: {name} {value[:30]!r}... is longer than {MAX_NAME_BYTES} bytes, and files "
        msg += "are named by it"
        raise CohortError(msg)


def _slide(row: Mapping[str, str | None], folder: Path, where: str) -> Slide:
    for name in ("patient_id", "slide_id", "site"):
        if not (row[name] or "").strip():
            msg = f"{where}: {name} is empty; every slide needs one"
            raise CohortError(msg)
    for name in ("slide_id", "site"):
        check_name(name, str(row[name]).strip(), where)
    file = (row["path"] or "").strip()
    return Slide(
        slide_id=str(row["slide_id"]).strip(),
        patient_id=str(row["patient_id"]).strip(),
        site=str(row["site"]).strip(),
        path=folder / file if file else None,
        mpp=mpp_of((row.get("mpp") or "").strip(), where),
    )


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a table for reading; a spreadsheet program's mark at its start is no content."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 text ({error}); save it as CSV UTF-8"
        raise CohortError(msg) from error
    except csv.Error as error:
        msg = f"{path}: cannot be read as CSV ({error}); look for a quote that is not closed"
        raise CohortError(msg) from error


def write_rows(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV table; it appears whole or not at all."""
    with atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
