"""A file comes whole and right, or not at all, whatever the portal and the disk do."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import histofed
from histofed.errors import DownloadError, OutputUnwritable, PortalSilent
from histofed.io.gdc import Patience, Portal, begun_bytes, fetch, md5_of
from histofed.io.gdc.fetch import BLOCK_BYTES, part_path
from histofed.io.gdc.patience import Stopped

SOURCE = Path(histofed.__file__).resolve().parents[1]
CONTENT = bytes(range(256)) * 40  # 10,240 bytes


@dataclass
class Client:
    """Whoever downloads."""

    address: str
    folder: Path
    attempts: int = 3
    timeout_s: float = 5.0
    stop: threading.Event = field(default_factory=threading.Event)
    gains: list[int] = field(default_factory=list)

    def fetch(self, file):
        fetch(
            file,
            self.folder,
            portal=Portal(self.address, timeout_s=self.timeout_s),
            patience=Patience(attempts=self.attempts, first_s=0.001),
            stop=self.stop,
            moved=self.gains.append,
        )

    def begin(self, file, content):
        part = part_path(file, self.folder)
        part.parent.mkdir(parents=True)
        part.write_bytes(content)
        return part

    def there(self):
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def client(gdc_portal, tmp_path):
    return Client(gdc_portal.address, tmp_path / "out")


def is_whole(client, file):
    """The file is there, right, and alone; and every byte was counted once."""
    path = client.folder / file.path
    return client.there() == [path] and md5_of(path, stop=client.stop) == file.md5


@pytest.mark.parametrize("content", [CONTENT, b"", b"x", CONTENT * 100], ids=len)
def test_a_file_comes(gdc_portal, client, content):
    file = gdc_portal.add(content)
    client.fetch(file)
    assert is_whole(client, file)
    assert sum(client.gains) == file.size
    assert len(gdc_portal.requests) == (1 if content else 0)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_it_goes_on_where_the_connection_broke(gdc_portal, client, reset):
    """More often than there are attempts, as every one of them brings more."""
    file = gdc_portal.add(CONTENT)
    points = [1, 4000, 4001, 8000, 9000, 10_239]
    gdc_portal.plan(file, *(gdc_portal.breaks(after=each, reset=reset) for each in points))
    client.fetch(file)
    assert is_whole(client, file)
    assert sum(client.gains) == file.size
    if not reset:  # bytes that were under way may be lost with a reset
        assert gdc_portal.starts(file) == [0, *points]
        assert client.gains == [0, *np.diff([0, *points, file.size])]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(st.integers(0, len(CONTENT)), max_size=6), begun=st.integers(0, 11_000))
def test_wherever_it_breaks(gdc_portal, tmp_path_factory, points, begun):
    client = Client(gdc_portal.address, tmp_path_factory.mktemp("out"), attempts=9)
    file = gdc_portal.add(CONTENT)
    client.begin(file, (CONTENT * 2)[:begun])
    gdc_portal.plan(file, *(gdc_portal.breaks(after=each) for each in points))
    client.fetch(file)
    assert is_whole(client, file)
    assert sum(client.gains) == file.size


def test_what_an_earlier_process_left_is_gone_on_with(gdc_portal, client):
    file = gdc_portal.add(CONTENT)
    client.begin(file, CONTENT[:6000])
    assert begun_bytes(file, client.folder) == 6000
    client.fetch(file)
    assert gdc_portal.starts(file) == [6000]
    assert client.gains == [6000, 4240]
    assert is_whole(client, file)
    assert begun_bytes(file, client.folder) is None


def test_a_part_that_is_complete_needs_no_request(gdc_portal, client):
    file = gdc_portal.add(CONTENT)
    client.begin(file, CONTENT)
    client.fetch(file)
    assert gdc_portal.requests == []
    assert is_whole(client, file)


@pytest.mark.parametrize(
    ("begun", "starts"),
    [(b"z" * 6000, [6000, 0]), (b"z" * len(CONTENT), [0]), (CONTENT + b"z", [0])],
    ids=["wrong beginning", "wrong whole", "too long"],
)
def test_a_part_that_is_of_no_use_is_given_up(gdc_portal, client, begun, starts):
    file = gdc_portal.add(CONTENT)
    client.begin(file, begun)
    client.fetch(file)
    assert gdc_portal.starts(file) == starts
    assert sum(client.gains) == file.size
    assert is_whole(client, file)


def test_a_part_of_another_version_is_not_gone_on_with(gdc_portal, client):
    file = gdc_portal.add(CONTENT)
    other = client.begin(replace(file, md5="0" * 32), b"z" * 6000)
    client.fetch(file)
    assert gdc_portal.starts(file) == [0]
    assert other.exists()


def test_a_portal_that_ignores_ranges(gdc_portal, client):
    file = gdc_portal.add(CONTENT)
    gdc_portal.plan(file, gdc_portal.breaks(after=5000), gdc_portal.ignores_range())
    client.fetch(file)
    assert gdc_portal.starts(file) == [0, 5000]
    assert client.gains[:3] == [0, 5000, -5000]
    assert sum(client.gains) == file.size
    assert is_whole(client, file)


def test_beginning_anew_for_ever_ends(gdc_portal, client):
    """It ignores ranges and breaks at one place: nothing is gained by asking again."""
    file = gdc_portal.add(CONTENT)
    gdc_portal.plan(file, *[gdc_portal.ignores_range(after=5000)] * 50)
    with pytest.raises(PortalSilent, match=r"ended after 5 kB of 10.2 kB; given up after 3"):
        client.fetch(file)
    assert len(gdc_portal.requests) == 3
    assert part_path(file, client.folder).read_bytes() == CONTENT[:5000]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_a_portal_that_is_busy_is_asked_again(gdc_portal, client, status):
    file = gdc_portal.add(CONTENT)
    gdc_portal.plan(file, *[gdc_portal.status(status)] * 2)
    client.fetch(file)
    assert len(gdc_portal.requests) == 3
    assert is_whole(client, file)


def test_it_is_left_alone_for_as_long_as_it_asks(gdc_portal, client, monkeypatch):
    file = gdc_portal.add(CONTENT)
    waits_s = []
    monkeypatch.setattr(client.stop, "wait", lambda wait_s: waits_s.append(wait_s))
    gdc_portal.plan(
        file,
        gdc_portal.status(429, {"Retry-After": 7}),
        gdc_portal.status(503),
        gdc_portal.status(500),
    )
    client.attempts = 4
    client.fetch(file)
    assert waits_s[0] == 7
    assert 0 < max(waits_s[1:]) < 1


@pytest.mark.parametrize("after", [0, 5000])
def test_silence_counts_as_broken(gdc_portal, client, after):
    file = gdc_portal.add(CONTENT)
    client.timeout_s = 0.1
    gdc_portal.plan(file, gdc_portal.hangs(after=after))
    client.fetch(file)
    assert gdc_portal.starts(file) == [0, after]
    assert is_whole(client, file)


def test_a_portal_that_stays_silent_is_given_up_and_what_came_stays(gdc_portal, client):
    file = gdc_portal.add(CONTENT)
    client.timeout_s = 0.05
    gdc_portal.plan(file, *[gdc_portal.hangs(after=5000)] * 5)
    with pytest.raises(PortalSilent, match="silent for too long"):
        client.fetch(file)
    assert part_path(file, client.folder).read_bytes() == CONTENT[:5000]


# Another file than the manifest says: nothing of it is kept.


def test_wrong_bytes(gdc_portal, client):
    file = gdc_portal.add(CONTENT)
    gdc_portal.plan(file, gdc_portal.sends(b"z" * len(CONTENT)))
    with pytest.raises(DownloadError, match="nothing of it was kept") as caught:
        client.fetch(file)
    assert file.md5 in str(caught.value)
    assert len(gdc_portal.requests) == 1
    assert not client.there()
    assert sum(client.gains) == 0


def test_wrong_bytes_in_one_of_two_pieces_are_asked_for_once_more(gdc_portal, client):
    file = gdc_portal.add(CONTENT)
    wrong = gdc_portal.sends(b"z" * len(CONTENT))
    broken = gdc_portal.breaks(after=5000)
    gdc_portal.plan(file, broken, wrong)
    client.fetch(file)
    assert gdc_portal.starts(file) == [0, 5000, 0]
    assert is_whole(client, file)
    gdc_portal.plan(
        file, gdc_portal.breaks(after=5000), wrong, gdc_portal.breaks(after=5000), wrong
    )
    with pytest.raises(DownloadError, match="md5"):
        client.fetch(file)
    assert is_whole(client, file)  # what was there before stays


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"z", b""], ids=len)
@pytest.mark.parametrize("says_length", [True, False])
def test_another_size(gdc_portal, client, content, says_length):
    file = gdc_portal.add(CONTENT)
    how = gdc_portal.sends if says_length else gdc_portal.without_length
    gdc_portal.plan(file, *[how(content)] * 10)
    with pytest.raises(DownloadError) as caught:
        client.fetch(file)
    longer = len(content) > file.size
    if says_length or longer:
        assert f"{len(content)} bytes, the manifest says {file.size}" in str(caught.value)
        assert not client.there()
    else:  # it may have been the connection
        assert isinstance(caught.value, PortalSilent)
    assert not (client.folder / file.path).exists()


def test_a_range_that_is_not_there(gdc_portal, client):
    """The file has become shorter than what came of it."""
    file = gdc_portal.add(CONTENT)
    client.begin(file, CONTENT[:6000])
    gdc_portal.plan(file, gdc_portal.status(416), gdc_portal.sends(CONTENT[:3000]))
    with pytest.raises(DownloadError, match="3000 bytes"):
        client.fetch(file)
    assert gdc_portal.starts(file) == [6000, 0]
    assert not client.there()


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ("bytes 5999-10239/10240", PortalSilent, "others came"),
        ("bytes 0-10239/10240", PortalSilent, "others came"),
        ("", PortalSilent, "others came"),
        ("bytes 6000-99999/100000", DownloadError, "100000 bytes"),
    ],
)
def test_another_range_than_was_asked_for(gdc_portal, client, said, error, words):
    file = gdc_portal.add(CONTENT)
    client.begin(file, CONTENT[:6000])
    gdc_portal.plan(file, *[gdc_portal.with_headers({"Content-Range": said})] * 5)
    with pytest.raises(error, match=words):
        client.fetch(file)
    assert not (client.folder / file.path).exists()


@pytest.mark.parametrize("said", ["bytes 6000-10239/10240", "bytes 6000-10239/*"])
def test_a_range_of_unknown_length(gdc_portal, client, said):
    file = gdc_portal.add(CONTENT)
    client.begin(file, CONTENT[:6000])
    gdc_portal.plan(file, gdc_portal.with_headers({"Content-Range": said}))
    client.fetch(file)
    assert is_whole(client, file)


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [({"Content-Encoding": "gzip"}, 200, "packed"), ({}, 202, "answers 202")],
)
def test_answers_that_are_no_file(gdc_portal, client, headers, status, words):
    file = gdc_portal.add(CONTENT)
    gdc_portal.plan(file, gdc_portal.with_headers(headers, status))
    with pytest.raises(DownloadError, match=words):
        client.fetch(file)
    assert not client.there()


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusals_are_not_repeated_and_leave_nothing(gdc_portal, client, status):
    file = gdc_portal.add(CONTENT)
    gdc_portal.plan(file, *[gdc_portal.status(status)] * 5)
    with pytest.raises(DownloadError, match=str(status)):
        client.fetch(file)
    assert len(gdc_portal.requests) == 1
    assert list(client.folder.rglob("*")) == []


# The disk, and processes that end.


def test_a_full_disk_keeps_what_came(gdc_portal, client):
    file = gdc_portal.add(CONTENT * 100)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(OutputUnwritable, match="free space"):
            client.fetch(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert begun_bytes(file, client.folder) == 300_000
    client.fetch(file)
    assert is_whole(client, file)
    assert gdc_portal.starts(file) == [0, 300_000]


@pytest.mark.parametrize("what", ["file in place of the folder", "link in place of the part"])
def test_what_is_in_the_way_is_named(gdc_portal, client, tmp_path, what):
    file = gdc_portal.add(CONTENT)
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    part = part_path(file, client.folder)
    if what.startswith("file"):
        client.folder.mkdir()
        part.parent.touch()
    else:
        part.parent.mkdir(parents=True)
        part.symlink_to(precious)
    with pytest.raises(OutputUnwritable, match=file.id):
        client.fetch(file)
    assert precious.read_bytes() == b"mine"
    assert gdc_portal.requests == []


def test_a_part_that_another_process_replaced_is_not_named(gdc_portal, client):
    """Two that take each other for dead: neither names what the other writes."""
    file = gdc_portal.add(CONTENT)
    part = part_path(file, client.folder)

    def replaced(*answer):
        gdc_portal.ignores_range()(*answer)
        part.unlink()
        part.write_bytes(b"of the other")

    gdc_portal.plan(file, replaced)
    with pytest.raises(OutputUnwritable, match="was replaced"):
        client.fetch(file)
    assert not (client.folder / file.path).exists()


def test_a_stop_keeps_what_came(gdc_portal, client):
    file = gdc_portal.add(CONTENT * 100)
    client.gains = type("Stops", (list,), {"append": lambda *_: client.stop.set()})()
    with pytest.raises(Stopped):
        client.fetch(file)
    begun = begun_bytes(file, client.folder)
    assert begun is not None
    assert begun <= BLOCK_BYTES
    client.stop, client.gains = threading.Event(), []
    client.fetch(file)
    assert gdc_portal.starts(file)[-1] == begun
    assert is_whole(client, file)


KILLED = """
import sys, threading
from pathlib import Path
from histofed.io.gdc import GdcFile, Patience, Portal, fetch

address, folder, *cells, size = sys.argv[1:]
file = GdcFile(id=cells[0], name=cells[1], md5=cells[2], size=int(size))
fetch(file, Path(folder), portal=Portal(address), patience=Patience(),
      stop=threading.Event(), moved=lambda n: print(n, flush=True))
"""


def test_what_a_killed_process_left_is_gone_on_with(gdc_portal, client):
    file = gdc_portal.add(CONTENT)
    gdc_portal.plan(file, gdc_portal.hangs(after=7000))
    cells = [file.id, file.name, file.md5, str(file.size)]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, client.address, str(client.folder), *cells],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )
    with process:
        assert process.stdout is not None
        came = 0
        while came < 7000:
            came += int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert client.there() == [part_path(file, client.folder)]
    client.fetch(file)
    assert gdc_portal.starts(file) == [0, 7000]
    assert is_whole(client, file)


def test_memory_does_not_grow_with_the_file(gdc_portal, client):
    file = gdc_portal.add(bytes(32 * 2**20))

    def streams(handler, content, start):
        """Send it without a copy of it in this process."""
        gdc_portal.ignores_range(after=0)(handler, content, start)
        handler.wfile.write(content)

    gdc_portal.plan(file, streams)
    tracemalloc.start()
    try:
        client.fetch(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert is_whole(client, file)
    assert peak < 4 * 2**20
