"""Serving the page: on this machine, or to a web server in front of it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from typing import TYPE_CHECKING

import uvicorn

from histofed.errors import ReviewError
from histofed.review.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


def serve(
    app: FastAPI,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    access: Access | None = None,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until interrupted.

    Parameters
    ----------
    host
        A loopback address, unless a web server in front is named.
    port
        0 takes a free one.
    access
        Who may see the page.
    on_start
        Called with the address to open, once the port is ours.

    Raises
    ------
    ReviewError
        The host is not loopback, or the port is taken.
    """
    with bind(host, port, access=access) as listening:
        listening.listen()  # whoever is told of the address may ask at once
        if on_start is not None:
            on_start(_address(host, listening.getsockname()[1]))
        server(app).run(sockets=[listening])


def server(app: FastAPI) -> uvicorn.Server:
    """Return the server of the page, not yet started."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Who a web server in front speaks for is the page's own affair: it knows whom to believe.
        proxy_headers=False,
        # Somebody who sent half a request does not keep the server from ending.
        timeout_graceful_shutdown=1,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_fault)
    return uvicorn.Server(config)


def _is_fault(record: logging.LogRecord) -> bool:
    """An answer that was cut off because the server ends is none, and needs no traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def bind(host: str, port: int, *, access: Access | None = None) -> socket.socket:
    """Return a socket bound to an address that suits the access.

    Raises
    ------
    ReviewError
        The host is not loopback and nobody is kept out, or the port is taken.
    """
    if not _is_loopback(host):
        _check_open(host, port, access or Access())
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP: only then does asyncio send what follows the head of an answer at once, and
    # not after the browser's acknowledgement 40 ms later (RFC 1122, 4.2.3.2 and 4.2.3.4).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        msg = f"port {port} of {host} cannot be used ({error}); choose another with port=..."
        raise ReviewError(msg) from error
    return listening


def _check_open(host: str, port: int, access: Access) -> None:
    """Refuse to show the page to a network that nothing protects it from."""
    if access.kind == "none":
        msg = (
            f"host is {host!r} and access is none: without access control the page is served on "
            "this machine only; keep host=127.0.0.1 and reach it through an SSH tunnel "
            f"(ssh -L {port}:127.0.0.1:{port} THIS-MACHINE), or choose access=token or access=proxy"
        )
        raise ReviewError(msg)
    if not access.proxies:
        msg = (
            f"host is {host!r}: tokens would travel unencrypted; put a web server with HTTPS in "
            "front and name its address (proxies=[10.0.0.5]), or keep host=127.0.0.1"
        )
        raise ReviewError(msg)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
