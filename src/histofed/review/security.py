"""Before any route: what a browser may do with the page, who is let in, and who asks.

A browser may load the page's own files, and nothing from or to anywhere else.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse

from histofed.errors import ReviewError
from histofed.review.access import SignedIn, checked_name

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from histofed.review.access import Access
    from histofed.review.page import Page

ALLOWED_HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names under which the page may be asked for.

A hostile web page can let its own name resolve to this machine and read what is served here (DNS
rebinding); its requests carry its name and are refused.
"""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

USER_HEADER = "X-Remote-User"
"""In which a web server in front says who somebody is."""

MAX_BODY = 2 << 20
"""Bytes of a request, at most; a region of ten thousand corners has a tenth."""

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


class SecurityHeaders:
    """Middleware that puts `HEADERS` on every response that does not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; add the headers as the response starts."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in HEADERS.items()
                        if name.lower().encode() not in present
                    ),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Gate:
    """Middleware that turns away who may not ask at all, and finds out who asks.

    Routes find in ``request.state``: ``cookie`` (of the browser, or empty), ``client`` (its
    address) and ``signed_in`` (or None).
    """

    def __init__(self, app: ASGIApp, *, page: Page) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._refusal(scope, headers)
        if answer is None:
            scope = self._at_home(scope)
            scope["state"] = scope.get("state", {}) | self._who(scope, headers)
            await self._app(scope, receive, send)
        else:
            await answer(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        access, prefix = self._page.access, self._page.prefix
        if access.proxies and not access.is_proxy(_peer(scope)):
            words = "This page is reached through the hospital's web server only."
            return JSONResponse({"detail": words}, 403)
        if prefix and scope["path"] == prefix:
            return RedirectResponse(f"{prefix}/", 308)
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal():
            return JSONResponse({"detail": "The request does not say how long it is."}, 411)
        if len(length) > 12 or int(length) > MAX_BODY:
            return JSONResponse({"detail": "The request is too long."}, 413)
        return None

    def _at_home(self, scope: Scope) -> Scope:
        """Return the request without the prefix, which a web server may have left or taken off."""
        path, prefix = scope["path"], self._page.prefix
        if not prefix or not path.startswith(f"{prefix}/"):
            return dict(scope)
        return {**scope, "path": path.removeprefix(prefix)}

    def _who(self, scope: Scope, headers: Headers) -> dict[str, str | SignedIn | None]:
        page, cookie = self._page, _cookie(headers, self._page.cookie_name)
        # Some web servers add a line of their own behind the one that the browser sent.
        forwarded = headers.getlist("x-forwarded-for")
        client = page.access.client(_peer(scope), ", ".join(forwarded))
        signed_in: SignedIn | None = None
        if page.access.kind != "proxy":
            signed_in = page.sessions.signed_in(cookie) if cookie else None
        elif name := _said_by_proxy(headers):
            signed_in = SignedIn(name, "")
        return {"cookie": cookie, "client": client, "signed_in": signed_in}


def is_secure(scope: Scope, access: Access) -> bool:
    """Whether cookies may travel over HTTPS only: everywhere but on this machine."""
    host = Headers(scope=scope).get("host", "").rsplit(":", 1)[0]
    return scope["scheme"] == "https" or bool(access.proxies) or host not in ALLOWED_HOSTS


def _peer(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    # Ours are short; what is longer is not hashed again and again.
    return found.value if found is not None and len(found.value) <= 100 else ""


def _said_by_proxy(headers: Headers) -> str | None:
    """Return who the web server in front says it is; two answers are none."""
    said = headers.getlist(USER_HEADER)
    if len(said) != 1:
        return None
    try:
        return checked_name(said[0].encode("latin-1").decode("utf-8"))
    except (UnicodeError, ReviewError):
        return None
