"""Why a client is not taken in: each cause has words of its own."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("nvflare")

from histofed.federation.transports.nvflare import probe
from histofed.federation.transports.nvflare.connection import address_of
from histofed.federation.transports.nvflare.kits import Network, make_kits
from histofed.federation.transports.nvflare.probe import why_silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def federations(tmp_path_factory) -> list[dict[str, Path]]:
    """Two federations with an authority each."""
    network = Network(host="localhost", port=8102, sites=["north"])
    folder = tmp_path_factory.mktemp("kits")
    return [make_kits(network, folder / name) for name in ("one", "two")]


def kit_for(port: int, kit: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "kit"
    shutil.copytree(kit, copied)
    file = copied / "startup" / "fed_client.json"
    content = json.loads(file.read_text())
    content["servers"][0]["service"]["target"] = f"localhost:{port}"
    file.write_text(json.dumps(content))
    return copied


@contextmanager
def listening(kit: Path) -> Iterator[int]:
    """Answer one connection as the server of a federation does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(kit / "startup" / "server.crt", kit / "startup" / "server.key")
    context.load_verify_locations(kit / "startup" / "rootCA.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("localhost", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.sendall(b"hello")
            except OSError:
                connection.close()

        thread = Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def test_a_sound_kit_is_not_blamed(federations, tmp_path):
    with listening(federations[0]["server"]) as port:
        kit = kit_for(port, federations[0]["north"], tmp_path)
        assert "takes the certificate of this kit, but not this client" in why_silent(kit)


def test_a_wrong_port_is_named(federations, tmp_path):
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
    kit = kit_for(port, federations[0]["north"], tmp_path)
    assert f"localhost:{port} refuses connections: nothing listens there" in why_silent(kit)


def test_the_kit_of_another_federation_is_named(federations, tmp_path):
    with listening(federations[1]["server"]) as port:
        kit = kit_for(port, federations[0]["north"], tmp_path)
        assert "the kit of another federation, or another server" in why_silent(kit)


def test_a_certificate_that_the_server_refuses_is_named(federations, tmp_path):
    with listening(federations[0]["server"]) as port:
        kit = kit_for(port, federations[0]["north"], tmp_path)
        for name in ("client.crt", "client.key"):
            shutil.copy(federations[1]["north"] / "startup" / name, kit / "startup" / name)
        assert "refuses the certificate of this kit" in why_silent(kit)


def test_a_server_that_says_nothing_and_a_kit_without_key_are_named(
    federations, tmp_path, monkeypatch
):
    monkeypatch.setattr(probe, "ASK_S", 0.2)
    with socket.create_server(("localhost", 0)) as server:
        kit = kit_for(server.getsockname()[1], federations[0]["north"], tmp_path)
        assert "takes a connection and says nothing" in why_silent(kit)
    (kit / "startup" / "client.key").unlink()
    assert "certificate or key in" in why_silent(kit)


def test_the_servers_kit_names_the_same_place(federations):
    assert address_of(federations[0]["server"], "fed_server.json") == ("localhost", 8102)
