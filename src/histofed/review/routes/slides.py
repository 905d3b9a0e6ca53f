"""One slide: its geometry, its scores as raw numbers, and its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from histofed.review import deepzoom, heads
from histofed.review.routes.common import Reader, ThePage, known_slide, readable, scored
from histofed.review.scored import NoHeatMap

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.core.types import SlideInfo
    from histofed.review.page import Page

routes = APIRouter()

Number = Annotated[int, Path(ge=-1, le=2**31 - 1)]


@routes.get("/api/slides/{slide_id}")
def slide(page: ThePage, _: Reader, slide_id: str) -> Response:
    """Describe a slide and its heat maps."""
    known_slide(page, slide_id)
    with readable(slide_id), page.pool.lend(slide_id) as reader:
        info = reader.info
    who = {"patient_id": page.site.patient_of.get(slide_id)}
    return JSONResponse(_geometry(slide_id, info) | who | _heat(page, slide_id))


@routes.get("/api/slides/{slide_id}/scores/{head}")
def scores(request: Request, page: ThePage, _: Reader, slide_id: str, head: str) -> Response:
    """Return ``x, y, score`` of each tile."""
    found = scored(page, slide_id, head)
    return _answer(
        request,
        f'"{found.digest}-{quote(head, safe="")}"',  # a class may be named in any alphabet
        lambda: heads.pack(found.scores, head),
        media_type="application/octet-stream",
    )


@routes.get("/tiles/{slide_id}/{level}/{col}_{row}.jpg")
def tile(
    request: Request,
    page: ThePage,
    _: Reader,
    slide_id: str,
    level: Number,
    col: Number,
    row: Number,
) -> Response:
    """Return a tile of the viewer."""
    known_slide(page, slide_id)
    with readable(slide_id):
        etag = page.pictures.etag(slide_id, level, col, row)
        return _picture(
            request,
            etag,
            lambda: page.pictures.zoom_tile(slide_id, level, col=col, row=row),
        )


@routes.get("/thumbnails/{slide_id}.jpg")
def thumbnail(request: Request, page: ThePage, _: Reader, slide_id: str) -> Response:
    """Return the whole slide, small; never its label or macro image."""
    known_slide(page, slide_id)
    with readable(slide_id):
        etag = page.pictures.etag(slide_id, "thumbnail")
        return _picture(request, etag, lambda: page.pictures.thumbnail(slide_id))


@routes.get("/api/slides/{slide_id}/tiles/{tile}.jpg")
def model_tile(
    request: Request,
    page: ThePage,
    _: Reader,
    slide_id: str,
    tile: Number,
    side: Annotated[int, Query(ge=16, le=1024)] = 256,
) -> Response:
    """Return what the model saw of one tile, ``side`` pixels a side."""
    found = scored(page, slide_id)
    with readable(slide_id):
        if not 0 <= tile < len(found.scores.coords_N2):
            raise LookupError(tile)
        x_px0, y_px0 = found.scores.coords_N2[tile].tolist()
        side_px0 = found.scores.side_px0
        etag = page.pictures.etag(slide_id, x_px0, y_px0, side_px0, side)
        return _picture(
            request,
            etag,
            lambda: page.pictures.square(slide_id, x_px0, y_px0, side_px0=side_px0, px=side),
        )


def _picture(request: Request, etag: str, make: Callable[[], bytes]) -> Response:
    return _answer(request, etag, make, media_type="image/jpeg")


def _answer(
    request: Request,
    etag: str,
    make: Callable[[], bytes],
    *,
    media_type: str,
) -> Response:
    """Return what was asked for, or that the browser has it already.

    The browser asks each time: who signed out is shown nothing that it kept.
    """
    headers = {"ETag": etag}
    known = [each.strip() for each in request.headers.get("If-None-Match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(make(), media_type=media_type, headers=headers)


def _geometry(slide_id: str, info: SlideInfo) -> dict[str, Any]:
    return {
        "slide_id": slide_id,
        "width_px0": info.width_px0,
        "height_px0": info.height_px0,
        "mpp": info.mpp,
        "objective_power": info.objective_power,
        "level_sizes_px": info.level_sizes_px,
        "zoom_tile_px": deepzoom.ZOOM_TILE_PX,
        "overlap_px": deepzoom.OVERLAP_PX,
        "min_level": deepzoom.min_level(info),
        "max_level": deepzoom.max_level(info),
    }


def _heat(page: Page, slide_id: str) -> dict[str, Any]:
    """Describe the heat maps; a slide is shown even where they are missing or damaged."""
    try:
        found = page.scores.read(slide_id)
    except NoHeatMap as error:
        return {"side_px0": None, "heads": [], "heads_problem": str(error), "scores_digest": None}
    return {
        "side_px0": found.scores.side_px0,
        "heads": heads.describe(found.scores, positive=page.site.positive),
        "heads_problem": None,
        "scores_digest": found.digest,
    }
