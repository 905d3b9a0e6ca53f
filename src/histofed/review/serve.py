"""Serving the page on this machine."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

import uvicorn

from histofed.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


def serve(
    app: FastAPI,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until interrupted.

    Parameters
    ----------
    host
        A loopback address; the page has no access control of its own.
    port
        0 takes a free one.
    on_start
        Called with the address to open, once the port is ours.

    Raises
    ------
    ReviewError
        The host is not loopback, or the port is taken.
    """
    with bind(host, port) as listening:
        if on_start is not None:
            on_start(_address(host, listening.getsockname()[1]))
        server(app).run(sockets=[listening])


def server(app: FastAPI) -> uvicorn.Server:
    """Return the server of the page, not yet started."""
    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to a loopback address."""
    if not _is_loopback(host):
        msg = (
            f"host is {host!r}; the page has no access control and is served on this "
            "machine only: keep host=127.0.0.1 and reach it through an SSH tunnel "
            f"(ssh -L {port}:127.0.0.1:{port} THIS-MACHINE)"
        )
        raise ReviewError(msg)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        msg = f"port {port} of {host} cannot be used ({error}); choose another with port=..."
        raise ReviewError(msg) from error
    return listening


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
