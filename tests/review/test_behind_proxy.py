"""The page in a real browser behind a real web server that shows it under a path."""

from __future__ import annotations

import http.client
import threading
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from histofed.review.access import Access
from histofed.review.app import create_app
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

PREFIX = "/hospital/review"
OF_ONE_LINK = {"connection", "keep-alive", "transfer-encoding", "server", "date"}


@contextmanager
def web_server(port: int, *, takes_off: bool) -> Iterator[tuple[str, list[str]]]:
    """Show a server under `PREFIX` and nowhere else; gives the address and what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            asked.append(self.path)
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            path = self.path.removeprefix(PREFIX) if takes_off else self.path
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            # Whatever the browser says of who it is, is replaced.
            del self.headers["X-Remote-User"]
            headers = {**self.headers, "X-Remote-User": "ada", "X-Forwarded-For": "10.1.2.3"}
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as onward:
                onward.request(self.command, path, body=body, headers=headers)
                answer = onward.getresponse()
                content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in OF_ONE_LINK | {"content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            with suppress(ConnectionError):  # a browser that leaves waits for no tile
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_DELETE = pass_on

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("takes_off", [False, True])
def test_the_whole_way_under_a_path(
    site, tmp_path, serve_page, reviewer_at, browser: Browser, takes_off: bool
) -> None:
    store = ReviewStore(tmp_path / "reviews.sqlite")
    app = create_app(site, store, access=Access("proxy", ("127.0.0.1",)), prefix=PREFIX)
    with (
        serve_page(app) as behind,
        web_server(int(behind.rsplit(":", 1)[1]), takes_off=takes_off) as (shown, asked),
    ):
        tab = browser.new_page()
        tab.goto(f"{shown}{PREFIX}/")
        reviewer = reviewer_at(tab)
        reviewer.open_patient("P-sure")
        agree = tab.locator("[data-verdict=agree]")
        agree.click()
        reviewer.expect(agree).to_have_attribute("aria-pressed", "true")
        tab.close()
    (verdict,) = store.rows()
    assert (verdict["reviewer"], verdict["verdict"]) == ("ada", "agree")
    outside = {path for path in asked if not path.startswith(f"{PREFIX}/")}
    assert outside <= {"/favicon.ico"}
    assert any("/tiles/made-1/" in path for path in asked)
