"""Whether a hospital's client has a connection to the server, as the operating system tells."""

from __future__ import annotations

import json
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import psutil

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

LOOK_S = 10.0
"""How often one looks."""


class Connection:
    """The connection of a process that we started.

    Parameters
    ----------
    pid
        Number of the process.
    port
        Of the server. Through a proxy the port is another, so any connection that leaves this
        machine counts too: the client makes no other.
    """

    def __init__(self, pid: int, port: int) -> None:
        self._pid, self._port = pid, port
        self._seen_at = self._looked_at = time.monotonic()

    def away_s(self) -> float:
        """Return for how long there has been no connection, in seconds."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            if self._is_there():
                self._seen_at = now
        return now - self._seen_at if self._looked_at > self._seen_at else 0.0

    def _is_there(self) -> bool:
        try:
            found = psutil.Process(self._pid).net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True  # where this cannot be told, the server is waited for
        return any(
            each.status == psutil.CONN_ESTABLISHED
            and (each.raddr.port == self._port or not ip_address(each.raddr.ip).is_loopback)
            for each in found
        )


def address_of(kit: Path, config: str = "fed_client.json") -> tuple[str, int]:
    """Return the server's name and port.

    Raises
    ------
    ConfigError
        The kit does not say it.
    """
    file = kit / "startup" / config
    try:
        target = json.loads(file.read_text(encoding="utf-8"))["servers"][0]["service"]["target"]
        host, _, port = target.rpartition(":")
        return host, int(port)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        msg = f"{file}: names no server ({type(error).__name__}: {error}); ask the coordinator for "
        msg += "the kit again"
        raise ConfigError(msg) from error
