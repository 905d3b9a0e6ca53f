"""Whether a client has a connection, as the operating system tells."""

from __future__ import annotations

import json
import os
import socket

import pytest

from histofed.errors import ConfigError

pytest.importorskip("psutil")

from histofed.federation.transports.nvflare import connection as module
from histofed.federation.transports.nvflare.connection import Connection, address_of


def test_a_connection_is_seen_and_missed(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found, other = Connection(os.getpid(), port), Connection(os.getpid(), 1)
        with socket.create_connection(("127.0.0.1", port)):
            now[0] += 30
            assert found.away_s() == 0
            now[0] += 5  # too early to look again
            assert found.away_s() == 0
        now[0] += 30
        assert found.away_s() == 35
        assert other.away_s() == 65


def test_name_and_port_are_those_of_the_kit(tmp_path):
    file = tmp_path / "startup" / "fed_client.json"
    with pytest.raises(ConfigError, match="names no server"):
        address_of(tmp_path)
    file.parent.mkdir()
    file.write_text(json.dumps({"servers": [{"service": {"target": "fl.example.org:8102"}}]}))
    assert address_of(tmp_path) == ("fl.example.org", 8102)
    file.write_text(json.dumps({"servers": []}))
    with pytest.raises(ConfigError, match="names no server"):
        address_of(tmp_path)
