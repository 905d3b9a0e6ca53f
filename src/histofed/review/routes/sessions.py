"""Who is looking: signing in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from histofed.errors import ReviewError
from histofed.review.access import checked_name, hash_of, reviewer_of_token
from histofed.review.routes.common import ThePage, may_write, reviewer_of
from histofed.review.security import is_secure

if TYPE_CHECKING:
    from histofed.review.page import Page

routes = APIRouter(prefix="/api/session")


class SignIn(BaseModel):
    """Who somebody says they are, or the token that says so."""

    reviewer: str | None = Field(None, max_length=200)
    token: str | None = Field(None, max_length=200)


@routes.get("")
def session(request: Request, page: ThePage) -> Response:
    """Say who is signed in, and what to write with."""
    cookie = request.state.cookie or page.sessions.new_cookie()
    return _answer(request, page, cookie, reviewer_of(request))


@routes.post("", dependencies=[Depends(may_write)])
def sign_in(request: Request, page: ThePage, given: SignIn) -> Response:
    """Begin a session."""
    if page.access.kind == "proxy":
        raise HTTPException(409, "The web server in front of this page says who you are.")
    is_open = page.access.kind == "none"
    reviewer = _named(page, given) if is_open else _by_token(request, page, given)
    page.sessions.sign_out(request.state.cookie)
    token_sha256 = "" if is_open else hash_of(given.token or "")
    cookie = page.sessions.sign_in(reviewer, token_sha256=token_sha256)
    return _answer(request, page, cookie, reviewer)


@routes.delete("", dependencies=[Depends(may_write)])
def sign_out(request: Request, page: ThePage) -> Response:
    """End a session."""
    page.sessions.sign_out(request.state.cookie)
    return _answer(request, page, page.sessions.new_cookie(), None)


def _named(page: Page, given: SignIn) -> str:
    """Return who somebody says they are; who came before is known again however it is typed."""
    try:
        name = checked_name(given.reviewer or "")
    except ReviewError as error:
        raise HTTPException(422, "Please give a name of 1 to 80 letters.") from error
    return page.names.one(name)


def _by_token(request: Request, page: Page, given: SignIn) -> str:
    client: str = request.state.client
    if wait_s := page.patience.wait_s(client):
        raise HTTPException(
            429,
            f"Too many wrong tokens from your address; try again in {wait_s} seconds.",
            headers={"Retry-After": str(wait_s)},
        )
    reviewer = reviewer_of_token(page.store, given.token or "")
    if reviewer is None:
        page.patience.failed(client)
        raise HTTPException(401, "This token is not valid: mistyped, replaced or out of date.")
    return reviewer


def _answer(request: Request, page: Page, cookie: str, reviewer: str | None) -> Response:
    content: dict[str, Any] = {
        "access": page.access.kind,
        "reviewer": reviewer,
        "csrf": page.sessions.csrf(cookie, reviewer),
    }
    answer = JSONResponse(content)
    if cookie != request.state.cookie:
        answer.set_cookie(
            page.cookie_name,
            cookie,
            path=f"{page.prefix}/",
            httponly=True,
            samesite="strict",
            secure=is_secure(request.scope, page.access),
        )
    return answer
