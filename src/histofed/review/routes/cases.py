"""The run, its worklist, and one patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response

import histofed
from histofed.review import heads
from histofed.review.routes.common import MAX_INT, Reader, ThePage, known_case
from histofed.review.scored import NoHeatMap
from histofed.review.worklist import MOST, Order, Reviewed, Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from histofed.review.page import Page

routes = APIRouter()


@routes.get("/api/run")
def run(page: ThePage, _: Reader) -> Response:
    """Say what is predicted, by what."""
    site = page.site
    return JSONResponse(
        {
            "title": site.title,
            "question": site.question,
            "kind": site.kind,
            "positive": site.positive,
            "outputs": [{"name": each.name, "words": each.words} for each in site.outputs],
            "model_digest": site.model_digest,
            "heads": _heads(page),
            "sites": list(site.sites),
            "orders": page.worklist.orders,
            "n_cases": len(site.cases),
            "version": histofed.__version__,
        }
    )


def wanted(
    order: Order = "uncertain",
    site: Annotated[str, Query(max_length=200)] = "",
    reviewed: Reviewed = "any",
    find: Annotated[str, Query(max_length=200)] = "",
    offset: Annotated[int, Query(ge=0, le=MAX_INT)] = 0,
    limit: Annotated[int, Query(ge=0, le=MOST)] = 100,
) -> Wanted:
    """Return which cases are asked for."""
    return Wanted(order=order, site=site, reviewed=reviewed, find=find, offset=offset, limit=limit)


WantedCases = Annotated[Wanted, Depends(wanted)]


@routes.get("/api/cases")
def cases(page: ThePage, reviewer: Reader, wanted: WantedCases) -> Response:
    """Return a part of the worklist."""
    found = page.worklist.page(wanted, page.verdicts.all(), reviewer=reviewer)
    return JSONResponse(found)


@routes.get("/api/neighbour")
def neighbour(
    page: ThePage,
    reviewer: Reader,
    wanted: WantedCases,
    patient_id: Annotated[str, Query(max_length=200)],
    by: Literal["1", "-1"] = "1",
    todo: bool = False,  # noqa: FBT001, FBT002 - of the address
) -> Response:
    """Return the case after or before another in the worklist, and its place; null for none."""
    known_case(page, patient_id)
    found = page.worklist.neighbour(
        patient_id,
        wanted,
        page.verdicts.all(),
        by=1 if by == "1" else -1,
        is_todo=todo,
        reviewer=reviewer,
    )
    return JSONResponse(found and {"patient_id": found[0], "place": found[1]})


@routes.get("/api/case")
def case(page: ThePage, _: Reader, patient_id: Annotated[str, Query(max_length=500)]) -> Response:
    """Return one patient: prediction, covariates, slides, and what was said.

    What was said of other models' predictions is ``earlier``.
    Asked for beside the path: hospitals number like 2026/0412, and web servers refuse or decode
    what looks like a folder there.
    """
    found = known_case(page, patient_id)
    history, earlier = page.by_model(page.store.rows(patient_id=patient_id))
    return JSONResponse(
        page.worklist.row(patient_id, page.verdicts.all())
        | {
            "clinical": [{"name": name, "value": value} for name, value in found.clinical],
            "slides": [_slide(page, slide_id) for slide_id in found.slide_ids],
            "history": history[::-1],
            "earlier": earlier[::-1],
        }
    )


def _slide(page: Page, slide_id: str) -> dict[str, Any]:
    problem = _fault_of(page.site.slides[slide_id].path)
    n_tiles = None
    try:
        n_tiles = len(page.scores.read(slide_id).scores.coords_N2)
    except NoHeatMap as error:
        problem = problem or str(error)
    return {"slide_id": slide_id, "n_tiles": n_tiles, "problem": problem}


def _fault_of(path: Path | None) -> str | None:
    """Return what is wrong with a slide's file, as far as that is seen without opening it."""
    try:
        if path is not None and path.stat().st_size > 0:
            return None
    except OSError:
        path = None
    return f"The file of this slide is {'not there' if path is None else 'empty'}."


def _heads(page: Page) -> list[dict[str, Any]]:
    """Return the heads of the first slide that can be read: one model makes the same of all."""
    for slide_id in page.site.patient_of:
        try:
            names = page.scores.read(slide_id).scores.scores
        except NoHeatMap:
            continue
        return heads.words(names, positive=page.site.positive)
    return []
