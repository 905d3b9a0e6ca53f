"""What routes have in common: who asks, what exists, and errors in words."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import HTTPException, Request
from fastapi.params import Depends

from histofed.errors import MissingMpp, SlideError, StoreError
from histofed.review.page import Page
from histofed.review.scored import HeatMapRefused, NoHeatMap
from histofed.review.security import USER_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histofed.review.access import SignedIn
    from histofed.review.data import Case
    from histofed.review.scored import Scored

MAX_INT = 2**31 - 1
"""Numbers in addresses beyond this name nothing."""

_log = logging.getLogger(__name__)


def page_of(request: Request) -> Page:
    """Return what the routes share."""
    found: Page = request.app.state.page
    return found


def reviewer_of(request: Request) -> str | None:
    """Return who asks; None for somebody who has not said so, or whose token is void by now."""
    found: SignedIn | None = request.state.signed_in
    if found is None:
        return None
    page = page_of(request)
    is_void = found.token_sha256 and not page.invitations.hold(found.token_sha256)
    if is_void:
        return None
    # Who was invited has one name; web servers send it as it was typed.
    return page.names.one(found.reviewer) if page.access.kind == "proxy" else found.reviewer


def may_read(request: Request) -> str | None:
    """Return who asks, where they may see the page.

    Raises
    ------
    HTTPException
        401: they have to sign in.
    """
    reviewer = reviewer_of(request)
    access = page_of(request).access
    if reviewer is None and access.kind == "proxy":
        raise HTTPException(
            401, f"The web server in front did not say who you are ({USER_HEADER})."
        )
    if reviewer is None and access.kind == "token":
        raise HTTPException(401, "Please sign in with the token that you were given.")
    return reviewer


def may_write(request: Request) -> None:
    """Let through what this page's own script writes.

    Raises
    ------
    HTTPException
        403: it comes from somewhere else, or from a page that is out of date.
    """
    sessions = page_of(request).sessions
    token = request.headers.get("X-Review-Token", "")
    if not sessions.may_write(request.state.cookie, token, reviewer_of(request)):
        raise HTTPException(
            403,
            "The server was started again, or somebody else signed in, since this page was opened.",
        )


ThePage = Annotated[Page, Depends(page_of)]
Reader = Annotated[str | None, Depends(may_read)]


def known_slide(page: Page, slide_id: str) -> None:
    """Refuse a slide that is not of this run."""
    if slide_id not in page.site.slides:
        raise HTTPException(404, f"There is no slide {slide_id}.")


def known_case(page: Page, patient_id: str) -> Case:
    """Return a case; refuse a patient who is not of this run."""
    found = page.site.case_of.get(patient_id)
    if found is None:
        raise HTTPException(404, f"There is no patient {patient_id}.")
    return found


def scored(page: Page, slide_id: str, head: str | None = None) -> Scored:
    """Return the scores of a slide, and of a head if it is named."""
    known_slide(page, slide_id)
    try:
        found = page.scores.read(slide_id)
    except HeatMapRefused as error:
        raise HTTPException(503, f"Slide {slide_id}: {error}") from error
    except NoHeatMap as error:
        raise HTTPException(404, f"Slide {slide_id} has no heat map: {error}") from error
    if head is not None and head not in found.scores.scores:
        raise HTTPException(404, f"Slide {slide_id} has no heat map “{head}”.")
    return found


@contextmanager
def readable(slide_id: str) -> Iterator[None]:
    """Answer in words where a slide fails; paths stay in the server's log."""
    try:
        yield
    except MissingMpp as error:
        _log.warning("slide %s: %s", slide_id, error)
        words = (
            f"Slide {slide_id} cannot be shown: its file does not say its resolution. "
            "Supply it in the cohort table's column mpp."
        )
        raise HTTPException(422, words) from error
    except LookupError as error:
        raise HTTPException(404, f"Slide {slide_id} has no such part.") from error
    except (SlideError, StoreError, OSError) as error:
        _log.warning("slide %s: %s", slide_id, error)
        words = (
            f"Slide {slide_id} cannot be shown: its file is missing or damaged. "
            "Whoever runs this page finds the reason in its log."
        )
        raise HTTPException(503, words) from error
