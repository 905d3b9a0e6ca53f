"""What reviewers say, and how far they agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, FiniteFloat

from histofed.errors import OutputUnwritable, ReviewError, SlideError
from histofed.review.results import of_tiles_given, results
from histofed.review.routes.common import (
    MAX_INT,
    Reader,
    ThePage,
    known_case,
    may_write,
    scored,
)
from histofed.review.store import Verdict

if TYPE_CHECKING:
    from histofed.review.data import Case
    from histofed.review.page import Page

routes = APIRouter()

OF_CASE = ("agree", "disagree", "unsure")
OF_TILE = ("relevant", "not relevant", "artefact", "unsure")
WORDS = {"case": OF_CASE, "tile": OF_TILE, "region": tuple(dict.fromkeys((*OF_TILE, *OF_CASE)))}
"""Scope -> what may be said."""

FAR_PX0 = 1e7
"""No slide reaches so far."""

MAX_VIEW = 20_000
"""Characters of view settings, as JSON."""

Px0 = Annotated[FiniteFloat, Field(ge=-FAR_PX0, le=FAR_PX0)]


class Given(BaseModel):
    """A verdict as the page sends it."""

    scope: Literal["case", "tile", "region"]
    patient_id: str = Field(max_length=500)
    slide_id: str | None = Field(None, max_length=500)
    tile: int | None = Field(None, ge=0, le=MAX_INT)
    region: list[tuple[Px0, Px0]] | None = Field(None, min_length=3, max_length=10_000)
    verdict: str = Field(max_length=20)
    comment: str = Field("", max_length=4000)
    head: str | None = Field(None, max_length=200)
    view: dict[str, Any] = Field(default_factory=dict)
    blinded: bool = False
    elapsed_ms: int = Field(0, ge=0, le=MAX_INT)
    model_digest: str = Field(max_length=200)
    scores_digest: str | None = Field(None, max_length=200)


@routes.post("/api/verdicts", status_code=201, dependencies=[Depends(may_write)])
def add(page: ThePage, reviewer: Reader, given: Given) -> Response:
    """Store a verdict."""
    if reviewer is None:
        raise HTTPException(401, "Please say who you are before you give a verdict.")
    case = known_case(page, given.patient_id)
    _check(given, case)
    _check_region(page, given)
    if given.model_digest != page.site.model_digest:
        words = "The predictions shown here are of another model by now; load the page again."
        raise HTTPException(409, words)
    said = page.store.rows(patient_id=given.patient_id, reviewer=reviewer)
    if any(row["scope"] == "case" for row in said) and "hidden" in given.view:
        given.view["hidden"] = False  # it was shown to them after their first verdict
    verdict = Verdict(
        reviewer=reviewer,
        **given.model_dump(),
        **_place(page, given),
        arm=page.site.arm,
    )
    try:
        row = page.store.add(verdict)
    except OutputUnwritable as error:
        words = (
            "Your verdict was NOT stored: the server's disk is full or cannot be written. Tell "
            "whoever runs this page, and give the verdict again."
        )
        raise HTTPException(507, words) from error
    except ReviewError as error:
        words = (
            "Your verdict was NOT stored: another writer holds the file, or it is damaged. Give it "
            "again; if that does not help, tell whoever runs this page."
        )
        raise HTTPException(503, words) from error
    return JSONResponse(row, 201)


@routes.get("/api/verdicts")
def verdicts(
    page: ThePage,
    _: Reader,
    patient_id: Annotated[str | None, Query(max_length=500)] = None,
    slide_id: Annotated[str | None, Query(max_length=500)] = None,
    reviewer: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Return verdicts, the oldest first."""
    rows = page.store.rows(patient_id=patient_id, slide_id=slide_id, reviewer=reviewer)
    return JSONResponse({"verdicts": rows})


@routes.get("/api/results")
def agreement(page: ThePage, _: Reader, blinded: Literal["any", "yes", "no"] = "any") -> Response:
    """Return how far reviewers agree with the model, with one another, and with the scores."""
    rows, others = page.by_model(page.store.rows())
    found = results(of_tiles_given(rows, blinded), n_cases=len(page.site.cases))
    return JSONResponse(found | {"n_not_counted": len(others)})


def _check(given: Given, case: Case) -> None:
    """Refuse what contradicts itself."""
    if given.verdict not in WORDS[given.scope]:
        said = ", ".join(WORDS[given.scope])
        raise HTTPException(422, f"The verdict on a {given.scope} is one of: {said}.")
    if given.scope != "case" and given.slide_id is None:
        raise HTTPException(422, f"A verdict on a {given.scope} names its slide.")
    if given.slide_id is not None and given.slide_id not in case.slide_ids:
        words = f"Patient {given.patient_id} has no slide {given.slide_id}."
        raise HTTPException(404, words)
    for name in ("tile", "region"):
        if (getattr(given, name) is None) == (given.scope == name):
            raise HTTPException(422, f"A {name} belongs to a verdict on a {name}, and only there.")
    if given.scope == "tile" and given.head is None:
        raise HTTPException(422, "A verdict on a tile names the heat map that it was chosen by.")
    if given.blinded and given.scope != "tile":
        raise HTTPException(422, "Only tiles are judged blinded.")
    if "\0" in given.comment:
        raise HTTPException(422, "The comment holds what is no text.")
    if any(isinstance(value, dict | list) for value in given.view.values()):
        raise HTTPException(422, "The view settings are names with a single value each.")
    try:
        text = json.dumps(given.view, allow_nan=False)
        # Half a character would be stored, and then no answer that holds the row could be sent.
        json.dumps(given.view, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise HTTPException(422, "The view settings hold what is no text.") from error
    except ValueError as error:
        raise HTTPException(422, "The view settings hold what is no number.") from error
    if len(text) > MAX_VIEW:
        raise HTTPException(422, "The view settings are too long to be stored.")


def _check_region(page: Page, given: Given) -> None:
    """Refuse a region of no width, or beyond its slide if that can be read now."""
    if given.region is None or given.slide_id is None:
        return
    corners_K2 = np.array(given.region)
    # Of the corners' distances from the line closest to all of them (total least squares).
    if np.linalg.svd(corners_K2 - corners_K2.mean(axis=0), compute_uv=False)[-1] < 1:
        raise HTTPException(422, "A region is at least a pixel of the slide wide and high.")
    try:
        with page.pool.lend(given.slide_id) as reader:
            size_px0 = (reader.info.width_px0, reader.info.height_px0)
    except (SlideError, OSError):
        return
    if (corners_K2 < 0).any() or (corners_K2 > size_px0).any():
        width, height = size_px0
        words = f"The region reaches beyond the slide, which is {width} x {height} pixels."
        raise HTTPException(422, words)


def _place(page: Page, given: Given) -> dict[str, Any]:
    """Return where a tile stands among those of its slide, once its scores are those shown."""
    if given.slide_id is None or (given.scores_digest is None and given.head is None):
        return {}
    found = scored(page, given.slide_id)
    if found.digest != given.scores_digest:
        words = f"The heat map of slide {given.slide_id} was made again; load the page again."
        raise HTTPException(409, words)
    if given.head is not None and given.head not in found.scores.scores:
        raise HTTPException(404, f"Slide {given.slide_id} has no heat map “{given.head}”.")
    if given.tile is None or given.head is None:
        return {}
    if given.tile >= len(found.scores.coords_N2):
        raise HTTPException(404, f"Slide {given.slide_id} has no tile {given.tile}.")
    places = np.flatnonzero(found.order_N(given.head) == given.tile)
    if not len(places):
        return {}
    return {
        "score": float(found.scores.scores[given.head][given.tile]),
        "rank": int(places[0]) + 1,
        "percentile": float(found.percentiles_N(given.head)[given.tile]),
    }
