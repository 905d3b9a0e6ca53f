"""The server behind the page: a list of patients, slides as zoom tiles, scores as raw numbers.

Slides are asked for by id, never by path; label and macro images are never served.
"""

from __future__ import annotations

import io
import logging
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from PIL import Image
from starlette.middleware.trustedhost import TrustedHostMiddleware

from histofed.errors import MissingMpp, ReviewError, SlideError, StoreError
from histofed.review import deepzoom, heads
from histofed.review.pool import SlidePool
from histofed.review.security import ALLOWED_HOSTS, HEADERS, SecurityHeaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from histofed.core.types import SlideInfo, TileScores
    from histofed.review.data import ReviewData

STATIC = Path(__file__).parent / "static"
VIEWER_SCRIPT = STATIC / "vendor" / "openseadragon.min.js"
JPEG_QUALITY = 85
TILE_CACHE = "private, max-age=600"
"""Panning back must not read the slide again; scores and lists are always asked for afresh."""

_log = logging.getLogger(__name__)


def create_app(site: ReviewData) -> FastAPI:
    """Return the page's server.

    Raises
    ------
    ReviewError
        The viewer script was not installed with histofed.
    """
    if not VIEWER_SCRIPT.is_file():
        msg = (
            f"{VIEWER_SCRIPT} is missing: the page's viewer is fetched from npm when histofed is "
            "installed; install Node.js with npm, then install histofed again "
            "(pip install --force-reinstall --no-deps, with -e . in a clone)"
        )
        raise ReviewError(msg)
    pool = SlidePool(site.slides)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()

    # No documentation pages: they load scripts from other hosts.
    app = FastAPI(
        title=site.title, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(ALLOWED_HOSTS), www_redirect=False)
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(RequestValidationError, _not_found)
    app.add_exception_handler(Exception, _server_error)
    app.include_router(_routes(site, pool))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _routes(site: ReviewData, pool: SlidePool) -> APIRouter:
    """Return the routes; each is a plain function, so it runs in a thread and may read files."""
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(STATIC / "index.html")

    @routes.get("/api/cases")
    def cases() -> Response:
        return JSONResponse(_cases(site))

    @routes.get("/api/slides/{slide_id}")
    def slide(slide_id: str) -> Response:
        _known(site, slide_id)
        with _readable(slide_id), pool.lend(slide_id) as reader:
            info = reader.info
        return JSONResponse(_geometry(slide_id, info) | _heads(site, slide_id))

    @routes.get("/api/slides/{slide_id}/scores/{head}")
    def scores(slide_id: str, head: str) -> Response:
        _known(site, slide_id)
        with _readable(slide_id):
            found = _scores(site, slide_id)
        if found is None or head not in found.scores:
            raise HTTPException(404, f"Slide {slide_id} has no heat map “{head}”.")
        return Response(heads.pack(found, head), media_type="application/octet-stream")

    @routes.get("/tiles/{slide_id}/{level}/{col}_{row}.jpg")
    def tile(slide_id: str, level: int, col: int, row: int) -> Response:
        _known(site, slide_id)
        with _readable(slide_id), pool.lend(slide_id) as reader:
            where = deepzoom.zoom_tile(reader.info, level, col=col, row=row)
            if where is None or level < deepzoom.min_level(reader.info):
                raise HTTPException(404, f"Slide {slide_id} has no such part.")
            pixels = deepzoom.read_zoom_tile(reader, where)
        jpeg = io.BytesIO()
        Image.fromarray(pixels).save(jpeg, "JPEG", quality=JPEG_QUALITY)
        return Response(
            jpeg.getvalue(), media_type="image/jpeg", headers={"Cache-Control": TILE_CACHE}
        )

    return routes


def _cases(site: ReviewData) -> dict[str, Any]:
    return {
        "title": site.title,
        "question": site.question,
        "positive": site.positive,
        "cases": [
            {
                "patient_id": case.patient_id,
                "site": case.site,
                "label": case.label,
                "probability": case.probability,
                "slide_ids": list(case.slide_ids),
            }
            for case in site.uncertain_first()
        ],
    }


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


def _heads(site: ReviewData, slide_id: str) -> dict[str, Any]:
    """Describe the heat maps; a slide is shown even where they are missing or damaged."""
    try:
        scores = _scores(site, slide_id)
    except (StoreError, OSError, KeyError) as error:
        _log.warning("scores of slide %s: %s", slide_id, error)
        problem = "The heat map of this slide is damaged and cannot be shown."
        return {"side_px0": None, "heads": [], "heads_problem": problem}
    if scores is None:
        problem = "No heat map was made for this slide."
        return {"side_px0": None, "heads": [], "heads_problem": problem}
    return {
        "side_px0": scores.side_px0,
        "heads": heads.describe(scores, positive=site.positive),
        "heads_problem": None,
    }


def _scores(site: ReviewData, slide_id: str) -> TileScores | None:
    if not site.scores.path(slide_id).exists():
        return None
    return site.scores.read(slide_id)


def _known(site: ReviewData, slide_id: str) -> None:
    if slide_id not in site.slides:
        raise HTTPException(404, f"There is no slide {slide_id}.")


@contextmanager
def _readable(slide_id: str) -> Iterator[None]:
    """Answer in words where a file fails; paths stay in the server's log."""
    try:
        yield
    except MissingMpp as error:
        _log.warning("slide %s: %s", slide_id, error)
        words = (
            f"Slide {slide_id} cannot be shown: its file does not say its resolution. "
            "Supply it in the cohort table's column mpp."
        )
        raise HTTPException(422, words) from error
    except (SlideError, StoreError, OSError, KeyError) as error:
        _log.warning("slide %s: %s", slide_id, error)
        words = (
            f"Slide {slide_id} cannot be shown: its file is missing or damaged. "
            "Whoever runs this page finds the reason in its log."
        )
        raise HTTPException(503, words) from error


async def _not_found(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"detail": "There is nothing at this address."}, 404)


async def _server_error(_request: Request, _error: Exception) -> Response:
    """Answer in words; the traceback goes to the server's log only."""
    words = "The server failed; its log says why."
    return JSONResponse({"detail": words}, 500, headers=HEADERS)
