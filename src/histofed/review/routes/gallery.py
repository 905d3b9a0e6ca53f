"""Tiles to look at one by one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from histofed.review import gallery
from histofed.review.gallery import MOST, Which
from histofed.review.routes.common import MAX_INT, Reader, ThePage, scored

routes = APIRouter()


@routes.get("/api/slides/{slide_id}/gallery")
def tiles(
    page: ThePage,
    reviewer: Reader,
    slide_id: str,
    head: Annotated[str, Query(max_length=200)] = "attention",
    n: Annotated[int, Query(ge=1, le=MOST)] = 24,
    seed: Annotated[int, Query(ge=0, le=MAX_INT)] = 0,
    which: Which = "top",
) -> Response:
    """Return tiles of one heat map; blinded, none that the reviewer judged with a score."""
    found = scored(page, slide_id, head)
    seen: set[int] = set()
    if which == "blinded" and reviewer is not None:
        rows = page.store.rows(slide_id=slide_id, reviewer=reviewer)
        of_scores = [row for row in rows if row["scores_digest"] == found.digest]
        seen = {row["tile"] for row in of_scores if row["scope"] == "tile" and not row["blinded"]}
    return JSONResponse(gallery.tiles(found, head, which=which, n=n, seed=seed, seen=seen))
