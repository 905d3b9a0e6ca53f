"""The table of resolutions, ``slide,mpp``: what is known better than the slides say."""

from __future__ import annotations

import csv
import difflib
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from histofed.core.words import counted
from histofed.errors import CohortError
from histofed.io.tables import check_cells, check_header, mpp_of, open_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from histofed.core.types import Slide


def with_mpp_table(slides: list[Slide], path: Path) -> list[Slide]:
    """Return the slides with the resolutions of a table ``slide,mpp``; not every slide needs a row.

    Raises
    ------
    CohortError
        The table or a column is missing; a row names an unknown slide, one named before, no
        possible number, or another resolution than the cohort table.
    """
    if not path.is_file():
        msg = f"mpp_table={path} is not there; it has one row per slide with the columns slide,mpp"
        raise CohortError(msg)
    stated: dict[str, tuple[float, int]] = {}
    known = {slide.slide_id: slide for slide in slides}
    with open_text(path) as file:
        reader = csv.DictReader(file)
        check_header(path, list(reader.fieldnames or []), ("slide", "mpp"))
        for row in reader:
            slide_id, cell = (row["slide"] or "").strip(), (row["mpp"] or "").strip()
            where = f"{path}, line {reader.line_num}, slide {slide_id or '?'}"
            check_cells(row, where)
            if slide_id not in known:
                msg = f"{where}: none of {counted(len(known), 'slide')} here is called so; "
                msg += f"{_meant(slide_id, known)}, or remove the row"
                raise CohortError(msg)
            if slide_id in stated:
                before, line = stated[slide_id]
                msg = (
                    f"{where}: mpp is {cell or 'empty'} here and {before:g} in line {line}; which "
                )
                msg += "one counts is not said: keep one of these rows"
                raise CohortError(msg)
            mpp = mpp_of(cell, where)
            if mpp is None:
                msg = f"{where}: mpp is empty; give its microns per pixel or remove the row"
                raise CohortError(msg)
            if known[slide_id].mpp not in (None, mpp):
                msg = f"{where}: mpp is {mpp:g} here and {known[slide_id].mpp:g} in the cohort "
                msg += "table; keep one"
                raise CohortError(msg)
            stated[slide_id] = mpp, reader.line_num
    return [
        replace(slide, mpp=stated[slide.slide_id][0]) if slide.slide_id in stated else slide
        for slide in slides
    ]


def _meant(slide_id: str, known: Iterable[str]) -> str:
    """Return what may be meant by a name that is none: a file's name is taken for it most often."""
    names = list(known)
    near = [stem] if (stem := PurePath(slide_id).stem) in names else []
    near += difflib.get_close_matches(slide_id, names, n=1)
    return f"write {near[0]} if that is meant" if near else "correct the name"
