"""The server behind the page: a list of patients, slides as zoom tiles, scores as raw numbers.

Slides are asked for by id, never by path; label and macro images are never served.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from histofed.errors import OutputUnwritable, ReviewError
from histofed.review.page import Page
from histofed.review.routes import ROUTES
from histofed.review.security import ALLOWED_HOSTS, HEADERS, Gate, SecurityHeaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from histofed.review.access import Access
    from histofed.review.data import ReviewData
    from histofed.review.store import ReviewStore

STATIC = Path(__file__).parent / "static"
VIEWER_SCRIPT = STATIC / "vendor" / "openseadragon.min.js"

_log = logging.getLogger(__name__)


def create_app(
    site: ReviewData, store: ReviewStore, *, access: Access | None = None, prefix: str = ""
) -> FastAPI:
    """Return the page's server.

    Parameters
    ----------
    store
        Where verdicts go.
    access
        Who may see the page; None lets everybody in.
    prefix
        Path under which a web server in front shows the page, ``/review``; empty for none.

    Raises
    ------
    ReviewError
        The viewer script was not installed with histofed, or the prefix is no path.
    """
    if not VIEWER_SCRIPT.is_file():
        msg = (
            f"{VIEWER_SCRIPT} is missing: the page's viewer is fetched from npm when histofed is "
            "installed; install Node.js with npm, then install histofed again "
            "(pip install --force-reinstall --no-deps, with -e . in a clone)"
        )
        raise ReviewError(msg)
    page = Page(site, store, access=access, prefix=prefix)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        page.pool.close()

    # No documentation pages: they load scripts from other hosts.
    app = FastAPI(
        title=site.title,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # It would lead out of the prefix, and to the name of this machine.
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.page = page
    app.add_middleware(Gate, page=page)
    if page.access.kind == "none":
        app.add_middleware(
            TrustedHostMiddleware, allowed_hosts=list(ALLOWED_HOSTS), www_redirect=False
        )
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(RequestValidationError, _not_as_asked)
    app.add_exception_handler(OutputUnwritable, _no_store)
    app.add_exception_handler(ReviewError, _no_store)
    app.add_exception_handler(Exception, _server_error)
    for routes in ROUTES:
        app.include_router(routes)
    app.add_api_route("/", _page, methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _page() -> Response:
    """Return the page itself; whoever may not read sees where to sign in."""
    return FileResponse(STATIC / "index.html")


async def _not_as_asked(_request: Request, error: Exception) -> Response:
    """Name what is wrong; an address that cannot be read is one at which there is nothing."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(each["loc"][0] == "path" for each in found):
        return JSONResponse({"detail": "There is nothing at this address."}, 404)
    words = [f"{'.'.join(map(str, each['loc'][1:]))}: {_fault(each)}" for each in found[:5]]
    return JSONResponse({"detail": "; ".join(words)}, 422)


def _fault(found: dict[str, Any]) -> str:
    """Return what is wrong; of what a reviewer writes, in words that do not speak of strings."""
    if found["type"] == "string_too_long":
        return f"longer than {found['ctx']['max_length']:,} letters; shorten it"
    return str(found["msg"])


async def _no_store(_request: Request, error: Exception) -> Response:
    """Say that verdicts cannot be read; what and where is for the log."""
    _log.warning("verdicts: %s", error)
    words = "The verdicts cannot be read just now; whoever runs this page finds why in its log."
    return JSONResponse({"detail": words}, 507 if isinstance(error, OutputUnwritable) else 503)


async def _server_error(_request: Request, _error: Exception) -> Response:
    """Answer in words; the traceback goes to the server's log only."""
    words = "The server failed; its log says why."
    return JSONResponse({"detail": words}, 500, headers=HEADERS)
