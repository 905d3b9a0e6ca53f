"""What leaves the page as files: verdicts as tables, tiles and regions for QuPath."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse, Response

from histofed.io.interop import qupath
from histofed.review.routes.common import Reader, ThePage, known_slide, readable, scored
from histofed.review.store import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histofed.review.page import Page

routes = APIRouter(prefix="/api/export")

MOST_TILES = 100_000
"""Tiles of one file; QuPath is slow with more."""

FORMULA = re.compile(r"(^|[;\t\r\n])(?=\s*[=+\-@＝＋－＠])")
"""Where a spreadsheet begins to compute.

Those of half the world part cells at semicolons, so one may begin inside of ours; and full-width
signs count.
"""


@routes.get("/verdicts.json")
def verdicts_json(page: ThePage, _: Reader) -> Response:
    """Return every verdict, the oldest first."""
    content = {
        "format": "histofed/verdicts",
        "format_version": 1,
        "title": page.site.title,
        "question": page.site.question,
        "verdicts": list(_rows(page)),
    }
    return JSONResponse(content, headers=_as_file("verdicts.json"))


@routes.get("/verdicts.csv")
def verdicts_csv(page: ThePage, _: Reader) -> Response:
    """Return every verdict, the oldest first; nested cells are JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    columns = (*COLUMNS, "prediction", "question")
    writer.writerow(columns)
    for row in _rows(page):
        told = row | {"question": page.site.question}
        writer.writerow([_cell(told[name]) for name in columns])
    # With a byte order mark, without which Excel takes UTF-8 for another alphabet.
    return Response(
        text.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers=_as_file("verdicts.csv"),
    )


@routes.get("/slides/{slide_id}.geojson")
def geojson(
    page: ThePage,
    reviewer: Reader,
    slide_id: str,
    head: Annotated[str, Query(max_length=200)] = "attention",
    top: Annotated[int, Query(ge=0, le=MOST_TILES)] = 500,
) -> Response:
    """Return the highest tiles of a heat map, and the regions that the reviewer drew."""
    known_slide(page, slide_id)
    found = scored(page, slide_id, head)
    rows = page.store.rows(slide_id=slide_id, reviewer=reviewer) if reviewer else []
    given, _ = page.by_model(rows)
    # The oldest come first: of verdicts on the same region the last one stays.
    drawn = {str(row["region"]): row for row in given if row["scope"] == "region"}
    content = qupath.collection(
        [
            *qupath.tiles(
                found.scores,
                found.order_N(head)[:top],
                head=head,
                percentile=found.percentiles_N(head),
            ),
            *(
                qupath.annotation(
                    row["region"],
                    name=row["comment"] or row["verdict"],
                    classification=row["verdict"],
                    key=f"{slide_id}/{row['id']}",
                )
                for row in drawn.values()
            ),
        ],
        scanned_from_px0=_scanned_from_px0(page, slide_id),
    )
    return Response(
        json.dumps(content, allow_nan=False),
        media_type="application/geo+json",
        headers=_as_file(f"{slide_id}.geojson"),
    )


@routes.get("/colours/{name}.tsv")
def colours(_: Reader, name: str) -> Response:
    """Return a colour map as QuPath reads it."""
    if name not in qupath.COLOUR_MAPS:
        words = f"There is no colour map {name}; there are {', '.join(qupath.COLOUR_MAPS)}."
        raise HTTPException(404, words)
    return Response(
        qupath.colour_map(name),
        media_type="text/tab-separated-values",
        headers=_as_file(f"{name}.tsv"),
    )


def _rows(page: Page) -> Iterator[dict[str, Any]]:
    """Yield every verdict with the numbers that were predicted; None where by another model."""
    site = page.site
    for row in page.store.rows():
        case = site.case_of.get(row["patient_id"])
        prediction = None
        if case is not None and row["model_digest"] == site.model_digest:
            names = [output.name for output in site.outputs]
            known = (value if math.isfinite(value) else None for value in case.outputs)
            prediction = dict(zip(names, known, strict=True))
        yield row | {"prediction": prediction}


def _scanned_from_px0(page: Page, slide_id: str) -> tuple[int, int]:
    """Return where QuPath counts from; a slide that came without an image is taken as whole."""
    if page.site.slides[slide_id].path is None:
        return 0, 0
    with readable(slide_id), page.pool.lend(slide_id) as reader:
        return reader.info.scanned_from_px0


def _cell(value: object) -> object:
    if isinstance(value, (dict, list)):
        return json.dumps(value, allow_nan=False).replace(";", "\\u003b")  # the same text in JSON
    if isinstance(value, bool):
        return int(value)
    return FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def _as_file(name: str) -> dict[str, str]:
    plain = "".join(
        letter if (letter.isascii() and letter.isalnum()) or letter in "._-" else "_"
        for letter in name
    )
    return {"Content-Disposition": f'attachment; filename="{plain}"'}
