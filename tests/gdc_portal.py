"""A data portal on the loopback that answers as the GDC's does, or misbehaves as planned.

``portal.plan(file, portal.breaks(after=10), portal.status(503))`` has the next requests for a file
answered so; all others are answered well.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import struct
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from histofed.io.gdc import GdcFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Answer = Callable[["Handler", bytes, int], None]


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    portal: FakePortal

    def do_GET(self) -> None:
        file_id = self.path.rpartition("/")[2]
        self._answer(file_id, serve)

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.portal.questions.append(question)
        self._answer("files", hits)

    def _answer(self, key: str, well: Answer) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.portal.requests.append((self.path, headers))
        self.portal.asked.set()
        plan = self.portal.plans.get(key, [])
        answer = plan.pop(0) if plan else well
        answer(self, self.portal.contents.get(key, b""), _start(headers))

    def send(self, status: int, headers: dict[str, object], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve(handler: Handler, content: bytes, start: int, *, until: int | None = None) -> None:
    """Send what was asked for; all of it, or up to byte ``until`` of the file."""
    n_bytes = len(content)
    headers: dict[str, object] = {"Content-Length": n_bytes - start}
    if start:
        headers["Content-Range"] = f"bytes {start}-{n_bytes - 1}/{n_bytes}"
    handler.send(206 if start else 200, headers, content[start:until])


def hits(handler: Handler, _: bytes, __: int) -> None:
    portal, question = handler.portal, handler.portal.questions[-1]
    page = portal.hits[question["from"] :][: min(portal.page, int(question["size"]))]
    send_json({"data": {"hits": page, "pagination": {"total": len(portal.hits)}}})(handler, _, __)


def send_json(answer: object) -> Answer:
    body = json.dumps(answer).encode()
    return lambda handler, *_: handler.send(200, {"Content-Length": len(body)}, body)


def breaks(*, after: int, reset: bool = False) -> Answer:
    """End the connection when so many bytes of the file have come; rudely, with ``reset``."""

    def answer(handler: Handler, content: bytes, start: int) -> None:
        serve(handler, content, start, until=max(after, start))
        if reset:  # closing with a linger of 0 seconds sends RST
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return answer


def hangs(*, after: int) -> Answer:
    """Send so many bytes of the file and no more, until the portal is released."""

    def answer(handler: Handler, content: bytes, start: int) -> None:
        serve(handler, content, start, until=after)
        handler.portal.released.wait(20)

    return answer


def ignores_range(*, after: int | None = None) -> Answer:
    return lambda handler, content, _: serve(handler, content, 0, until=after)


def sends(content: bytes) -> Answer:
    """Send another file instead."""
    return lambda handler, _, start: serve(handler, content, start)


def without_length(content: bytes) -> Answer:
    return lambda handler, *_: handler.send(200, {}, content)


def with_headers(headers: dict[str, object], number: int = 206) -> Answer:
    return lambda handler, content, start: handler.send(number, headers, content[start:])


def status(number: int, headers: dict[str, object] | None = None) -> Answer:
    return lambda handler, *_: handler.send(number, {"Content-Length": 0, **(headers or {})})


def redirects(address: str, number: int = 302) -> Answer:
    return status(number, {"Location": address})


def _start(headers: dict[str, str]) -> int:
    found = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
    return int(found[1]) if found else 0


class FakePortal:
    """What the portal has, what it is to do, and what it was asked."""

    breaks, hangs, ignores_range = map(staticmethod, (breaks, hangs, ignores_range))
    sends, without_length, with_headers = map(staticmethod, (sends, without_length, with_headers))
    status, redirects, send_json = map(staticmethod, (status, redirects, send_json))

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.plans: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.questions: list[dict[str, Any]] = []
        self.hits: list[dict[str, Any]] = []
        self.page = 1000
        self.asked, self.released = threading.Event(), threading.Event()
        self.address = ""
        self.server: Server

    def use_tls(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.address = self.address.replace("http:", "https:")

    def add(self, content: bytes, name: str = "slide.svs") -> GdcFile:
        file_id = str(uuid.uuid4())
        self.contents[file_id] = content
        md5 = hashlib.md5(content).hexdigest()
        return GdcFile(id=file_id, name=name, md5=md5, size=len(content))

    def plan(self, file: GdcFile | str, *answers: Answer) -> None:
        self.plans[file if isinstance(file, str) else file.id] = list(answers)

    def starts(self, file: GdcFile) -> list[int]:
        """From which byte on each request for a file wanted it."""
        return [_start(headers) for path, headers in self.requests if path.endswith(file.id)]

    def manifest(self, path: Path, *files: GdcFile) -> Path:
        rows = [f"{file.id}\t{file.name}\t{file.md5}\t{file.size}\treleased" for file in files]
        path.write_text("\n".join(["id\tfilename\tmd5\tsize\tstate", *rows]) + "\n")
        return path


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Whoever was hung up on says nothing."""


@contextmanager
def running() -> Iterator[FakePortal]:
    portal = FakePortal()
    handler = type("Of", (Handler,), {"portal": portal})
    with Server(("127.0.0.1", 0), handler) as server:
        portal.server = server
        portal.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield portal
        finally:
            portal.released.set()
            server.shutdown()
            thread.join()
