"""What the NVFlare transport is made of, without a network; signatures need the extra."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from histofed.errors import ConfigError, UpdateRefused
from histofed.federation.transports.nvflare import waiting
from histofed.federation.transports.nvflare.alone import alone_in
from histofed.federation.transports.nvflare.diary import Diary, sums_line
from histofed.federation.transports.nvflare.kits import Network
from histofed.federation.transports.nvflare.places import Place
from histofed.federation.transports.nvflare.presence import FRESH_S, Presence


def test_a_place_is_read_as_it_was_written_and_opens_what_it_names(tmp_path):
    place = Place(opens="json:dumps", options={"a": 1}, run="here")
    place.write(tmp_path)
    assert Place.read(tmp_path) == place
    assert place.open() == '{"a": 1}'
    (tmp_path / "histofed.json").write_text("{}")
    with pytest.raises(ConfigError, match="`histofed federate join`, which write it"):
        Place.read(tmp_path)


def test_a_diary_is_followed_line_by_line(tmp_path):
    diary = Diary(tmp_path / "run")
    assert diary.since(0) == ([], 0)
    diary.say("one")
    lines, position = diary.since(0)
    assert lines == ["one"]
    with diary.lines.open("a") as file:
        file.write("2026  half a l")
    assert diary.since(position) == ([], position)
    with diary.lines.open("a") as file:
        file.write("ine\n")
    assert diary.since(position)[0] == ["half a line"]
    assert diary.closed() is None
    diary.close({"over": True})
    assert diary.closed() == {"over": True}
    diary.reopen()
    assert diary.closed() is None


def test_whose_sums_a_part_begins_with_is_said_and_who_is_missing():
    assert sums_line("fold-1", {"south": 1, "north": 1}, ["north", "south"]).endswith(
        "by the sums of north, south"
    )
    line = sums_line("fold-1", ["north"], ["north", "west", "south"])
    assert line.endswith("of north; without south, west: who comes later trains with these")


def test_who_waits_says_so_ever_more_rarely_and_anew_after_news(monkeypatch):
    now, said = [0.0], []
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    reminder = waiting.Reminder(lambda line: said.append((now[0], line)))
    for second in range(4000):
        now[0] = float(second)
        reminder.remind("waits")
    assert [when for when, _ in said] == [30, 60, 120, 240, 480, 960, 1860, 2760, 3660]
    reminder.restart()
    now[0] += 29
    reminder.remind("too early")
    now[0] += 1
    reminder.remind("again")
    assert said[-2:] == [(3660, "waits"), (4029, "again")]


def test_who_is_back_is_there_and_not_in_the_job(tmp_path):
    presence, now = Presence(tmp_path), time.time()
    assert presence.returned({}, gone_s=15) == []
    heard_of = {"in": now, "new": now, "back": now, "killed": now - 1, "long": now - FRESH_S - 1}
    presence.write(heard_of)
    alive = {"in": now - 1, "back": now - 20, "killed": now - 2}
    # `killed` was last heard of when its process was: it may not be there at all.
    assert presence.returned(alive, gone_s=15) == ["back", "new"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"sites": ["North"]}, "'North' must be small letters"),
        ({"sites": ["../x"]}, "must be small letters"),
        ({"sites": ["server"]}, "'server' must be"),
        ({"sites": ["a", "a"]}, "each hospital once"),
        ({"sites": []}, "at least one"),
        ({"port": 0}, "port must be in 1..65535, got 0"),
    ],
)
def test_impossible_networks_are_refused(change, match):
    with pytest.raises(ConfigError, match=match):
        Network(**{"host": "localhost", "port": 8102, "sites": ["a", "b"], **change})


def test_a_process_ends_with_its_parent_even_if_that_was_killed(tmp_path):
    child = tmp_path / "child.py"
    child.write_text(
        "import pathlib, sys, time\n"
        "from histofed.federation.transports.nvflare.watch import end_with_parent\n"
        "end_with_parent(grace_s=0.1)\n"
        "pathlib.Path(sys.argv[1]).touch()\n"
        "time.sleep(60)\n"
    )
    ready = tmp_path / "ready"
    command = [sys.executable, str(child), str(ready)]
    mother = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{mother}; p.wait()", *command], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    number = int(process.stdout.readline())
    until = time.monotonic() + 30
    while not ready.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    process.kill()  # and not waited for: it stays as a zombie
    while Path(f"/proc/{number}").exists():
        assert time.monotonic() < until, "the child outlived its parent"
        time.sleep(0.05)
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def authority():
    """Return the maker of certificates: name -> key, certificate, and that of the authority."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    root_key = rsa.generate_private_key(65537, 2048)
    site_key = rsa.generate_private_key(65537, 2048)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def certificate(name: str, key, *, signed_by, days: int = 30) -> bytes:
        now = datetime.now(UTC)
        made = x509.CertificateBuilder(
            issuer_name=named("root"), subject_name=named(name), public_key=key.public_key(),
            serial_number=x509.random_serial_number(), not_valid_before=now - timedelta(days=60),
            not_valid_after=now + timedelta(days=days),
        )  # fmt: skip
        return made.sign(signed_by, hashes.SHA256()).public_bytes(Encoding.PEM)

    def make(name: str, *, own_root: bool = False, days: int = 30):
        signer = site_key if own_root else root_key
        return site_key, certificate(name, site_key, signed_by=signer, days=days), root

    root = certificate("root", root_key, signed_by=root_key)
    return make


def check(make, *, message=b"update", tamper=b"", site="north", **options) -> None:
    from histofed.federation.transports.nvflare.signing import Signer, check_signature

    key, certificate, root = make("north", **options)
    signature = Signer(key, certificate).sign(message)
    check_signature(message + tamper, signature, certificate, site=site, authority=root)


def test_a_sound_signature_passes(authority):
    check(authority)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"tamper": b"!"}, "site north: .*not that of the key"),
        ({"site": "south"}, "site south: .*its certificate is that of north"),
        ({"own_root": True}, "not one of this federation"),
        ({"days": -1}, "valid until .*renew the kit"),
    ],
)
def test_a_signature_of_another_is_refused_by_name(authority, options, match):
    with pytest.raises(UpdateRefused, match=match):
        check(authority, **options)


@pytest.mark.parametrize(("days", "match"), [(31, "^$"), (9, "^the cert.*in 8 days; the coord")])
def test_a_certificate_that_ends_soon_is_warned_of(authority, tmp_path, days, match):
    from histofed.federation.transports.nvflare.signing import check_dates, valid_until

    for name, lasts in {"client.crt": days, "rootCA.pem": 400}.items():
        (tmp_path / name).write_bytes(authority("a", days=lasts)[1])
    assert re.search(match, check_dates(tmp_path))
    assert (valid_until(tmp_path) - datetime.now(UTC)).days == days - 1


def test_a_certificate_that_has_ended_and_none_are_refused_by_name(authority, tmp_path):
    from histofed.federation.transports.nvflare.signing import check_dates

    with pytest.raises(ConfigError, match=r"cannot be read.*ask the coordinator"):
        check_dates(tmp_path)
    (tmp_path / "rootCA.pem").write_bytes(authority("a", days=-1)[1])
    with pytest.raises(ConfigError, match=r"its certificates ended on 2.*with which the run goes"):
        check_dates(tmp_path)


def test_no_certificate_at_all_is_refused(authority):
    from histofed.federation.transports.nvflare.signing import check_signature

    _, _, root = authority("north")
    with pytest.raises(UpdateRefused, match="not one of this federation"):
        check_signature(b"", b"", b"none", site="north", authority=root)


def test_a_job_names_two_classes_and_a_digest(tmp_path):
    pytest.importorskip("nvflare")
    from histofed.federation.transports.nvflare.jobs import write_job

    write_job(tmp_path / "job", "d" * 64)
    files = {file.name: json.loads(file.read_text()) for file in tmp_path.rglob("*.json")}
    assert sorted(files) == ["config_fed_client.json", "config_fed_server.json", "meta.json"]
    assert not list(tmp_path.rglob("custom"))
    executor = files["config_fed_client.json"]["executors"][0]["executor"]
    assert executor["args"] == {"agreement": "d" * 64}


def test_a_server_kit_that_was_copied_writes_where_it_is(tmp_path):
    pytest.importorskip("nvflare")
    from histofed.federation.transports.nvflare.kits import make_kits, settle_server

    network = Network(host="localhost", port=8102, sites=["site-1"])
    kit = make_kits(network, tmp_path / "kits")["server"].rename(tmp_path / "elsewhere")
    # Nothing in it starts NVFlare otherwise than we do.
    assert not [file for file in kit.rglob("*") if file.suffix in (".sh", ".ipynb")]
    settle_server(kit)
    settled = (kit / "local" / "resources.json").read_text()
    assert str(tmp_path / "kits") not in settled
    assert str(kit / "snapshots") in settled
    assert str(kit / "jobs") in settled


def test_a_kit_takes_part_once_and_is_free_again_when_its_process_is_gone(tmp_path, monkeypatch):
    pytest.importorskip("nvflare")
    from histofed.federation.transports.nvflare import running

    monkeypatch.setattr(running, "KIT_S", 0.0)
    place = Place(opens="nowhere:nothing", options={}, run=str(tmp_path / "run"))
    first = alone_in(tmp_path / "kit", wait_s=0, remedy="")
    with pytest.raises(ConfigError, match=r"kit: another process works with it; end that one"):
        running.join(tmp_path / "kit", place, site="north", say=print)
    assert not (tmp_path / "kit" / "local").exists()  # what the first one wrote is as it was
    first.close()
    alone_in(tmp_path / "kit", wait_s=0, remedy="").close()
