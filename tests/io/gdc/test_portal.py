"""Requests: where they go, what they carry, and what the answers mean."""

from __future__ import annotations

import shutil
import subprocess

import pytest

import histofed
from histofed.errors import ConfigError, DownloadError, PortalSilent
from histofed.io.gdc import Portal, read_token
from histofed.io.gdc.patience import RangeRefused, Trouble
from histofed.io.gdc.portal import checked_address

TOKEN = "eyJ-a-secret"


def content(portal, file, **options):
    with portal.file(file.id, **options) as response:
        return response.read()


def test_a_file_and_its_end(gdc_portal):
    file = gdc_portal.add(b"0123456789")
    portal = Portal(gdc_portal.address + "/")
    assert content(portal, file) == b"0123456789"
    assert content(portal, file, start=7) == b"789"
    (path, headers), (_, ranged) = gdc_portal.requests
    assert path == f"/data/{file.id}"
    assert "range" not in headers
    assert ranged["range"] == "bytes=7-"
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"] == f"histofed/{histofed.__version__}"
    assert "x-auth-token" not in headers


def test_the_token_goes_with_files_and_with_nothing_else(gdc_portal):
    file = gdc_portal.add(b"secret")
    portal = Portal(gdc_portal.address, token=TOKEN)
    content(portal, file)
    portal.ask("files", {"from": 0, "size": 1})
    (_, of_file), (_, of_search) = gdc_portal.requests
    assert of_file["x-auth-token"] == TOKEN
    assert "x-auth-token" not in of_search
    assert TOKEN not in repr(portal)


@pytest.mark.parametrize(
    "address",
    [
        "http://api.gdc.cancer.gov",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "api.gdc.cancer.gov",
        "",
        "https://",
        "https://ann:word@api.gdc.cancer.gov",
        "https://api.gdc.cancer.gov?x=1",
        "https://api.gdc.cancer.gov:port",
        "https://api.gdc.cancer.gov/\r\nX: y",
    ],
)
def test_addresses_that_are_none_or_not_safe(address):
    with pytest.raises(ConfigError, match="portal="):
        Portal(address)


@pytest.mark.parametrize("address", ["https://x.org/v0", "http://[::1]:80", "http://localhost:1"])
def test_addresses_that_are_safe(address):
    assert checked_address(address + "/") == address


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (404, DownloadError, "no such file"),
        (403, DownloadError, "token=..."),
        (401, DownloadError, "controlled"),
        (400, DownloadError, "400"),
        (416, RangeRefused, "416"),
        (500, Trouble, "500"),
        (502, Trouble, "502"),
        (503, Trouble, "503"),
        (429, Trouble, "429"),
    ],
)
def test_what_a_status_means(gdc_portal, status, kind, words):
    file = gdc_portal.add(b"x")
    gdc_portal.plan(file, gdc_portal.status(status))
    with pytest.raises(kind) as caught:
        content(Portal(gdc_portal.address), file)
    assert words in str(caught.value)
    assert gdc_portal.address in str(caught.value)


def test_a_token_that_is_refused_is_not_shown(gdc_portal):
    file = gdc_portal.add(b"x")
    gdc_portal.plan(file, gdc_portal.status(403))
    with pytest.raises(DownloadError, match="has run out") as caught:
        content(Portal(gdc_portal.address, token=TOKEN), file)
    assert TOKEN not in str(caught.value)


def test_how_long_the_portal_asks_to_be_left_alone(gdc_portal):
    file = gdc_portal.add(b"x")
    gdc_portal.plan(file, gdc_portal.status(429, {"Retry-After": 17}))
    with pytest.raises(Trouble) as caught:
        content(Portal(gdc_portal.address), file)
    assert caught.value.asked_s == 17


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_sent_on_within_the_host(gdc_portal, status):
    file = gdc_portal.add(b"0123456789")
    gdc_portal.plan("elsewhere")
    gdc_portal.plan(file, gdc_portal.redirects(f"/other/{file.id}", status))
    assert content(Portal(gdc_portal.address, token=TOKEN), file, start=4) == b"456789"
    path, headers = gdc_portal.requests[-1]
    assert path == f"/other/{file.id}"
    assert (headers["range"], headers["x-auth-token"]) == ("bytes=4-", TOKEN)


@pytest.mark.parametrize(
    "address",
    ["http://localhost:{port}/x", "http://127.0.0.1:1/x", "https://127.0.0.1:{port}/x",
     "file:///etc/passwd", "//example.org/x", "ftp://127.0.0.1:{port}/x"],
)  # fmt: skip
def test_sent_on_to_anywhere_else_is_refused(gdc_portal, address):
    file = gdc_portal.add(b"x")
    port = gdc_portal.address.rpartition(":")[2]
    gdc_portal.plan(file, gdc_portal.redirects(address.format(port=port)))
    with pytest.raises(DownloadError, match="not followed to another host"):
        content(Portal(gdc_portal.address, token=TOKEN), file)
    assert len(gdc_portal.requests) == 1


def test_sent_on_in_a_circle(gdc_portal):
    file = gdc_portal.add(b"x")
    gdc_portal.plan(file, *[gdc_portal.redirects(f"/data/{file.id}")] * 20)
    with pytest.raises(DownloadError, match="302"):
        content(Portal(gdc_portal.address), file)


def test_a_search_is_not_sent_on(gdc_portal):
    gdc_portal.plan("files", gdc_portal.redirects("/other"))
    with pytest.raises(DownloadError, match="302"):
        Portal(gdc_portal.address).ask("files", {"from": 0, "size": 1})


def test_nobody_there_is_trouble():
    with pytest.raises(Trouble, match="failed"), Portal("http://127.0.0.1:1").file("x"):
        pass


def test_silence_is_trouble(gdc_portal):
    file = gdc_portal.add(b"x" * 100)
    gdc_portal.plan(file, gdc_portal.hangs(after=10))
    with pytest.raises(Trouble, match=r"timeout_s=\.\.\."):
        content(Portal(gdc_portal.address, timeout_s=0.1), file)


@pytest.fixture
def certificate(tmp_path):
    """A certificate that this machine alone vouches for, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
    )
    named = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-out",
        str(paths[0]),
        "-keyout",
        str(paths[1]),
    ]
    subprocess.run([*make.split(), *named], check=True, capture_output=True)
    return paths


def test_only_a_certificate_that_is_trusted_will_do(gdc_portal, certificate, monkeypatch):
    gdc_portal.use_tls(*certificate)
    file = gdc_portal.add(b"x")
    portal = Portal(gdc_portal.address, token=TOKEN)
    assert portal.address.startswith("https://")
    with pytest.raises(PortalSilent, match="SSL_CERT_FILE"):
        content(portal, file)
    assert gdc_portal.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert content(portal, file) == b"x"


def test_this_machine_is_asked_without_a_proxy(gdc_portal, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    file = gdc_portal.add(b"x")
    assert content(Portal(gdc_portal.address), file) == b"x"


def test_a_token_is_read_from_its_file(tmp_path):
    path = tmp_path / "token.txt"
    path.write_text(f"{TOKEN}\n")
    assert read_token(path) == TOKEN


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "two words", "ümlaut", "\x00"])
def test_what_is_no_token_is_refused_and_not_shown(tmp_path, content):
    path = tmp_path / "token.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="token") as caught:
        read_token(path)
    assert not content.strip() or content not in str(caught.value)


def test_a_token_in_place_of_its_file_is_not_shown(tmp_path):
    with pytest.raises(ConfigError, match="never the token itself") as caught:
        read_token(tmp_path / TOKEN)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_answer_that_is_no_json(gdc_portal):
    gdc_portal.plan("files", gdc_portal.without_length(b"<html>"))
    with pytest.raises(DownloadError, match="no JSON"):
        Portal(gdc_portal.address).ask("files", {})
