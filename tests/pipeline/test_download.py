"""``histofed download``: what it says, what it leaves, and with which exit code."""

from __future__ import annotations

import errno
import functools
import importlib
import os
import signal
import threading
from dataclasses import replace

import pytest

from histofed.cli import main
from histofed.errors import ConfigError, HistofedError, OutputUnwritable
from histofed.io.gdc import Patience, workers
from histofed.io.gdc.fetch import part_path
from histofed.io.queue import RECORDS
from histofed.pipeline import download, downloading, terminal
from histofed.pipeline.config import compose, to_object

# The package has a function of this name.
fetch = importlib.import_module("histofed.io.gdc.fetch")

CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for module in (download, downloading):
        monkeypatch.setattr(module, "Patience", functools.partial(Patience, first_s=0.001))
    monkeypatch.setattr(workers, "LEAVE_S", 0.1)


@pytest.fixture
def three(gdc_portal):
    return [gdc_portal.add(CONTENT * n, name=f"slide-{n}.svs") for n in (1, 2, 3)]


@pytest.fixture(scope="module")
def defaults():
    """The options as their file has them, composed once: that takes longer than the work here."""
    return to_object(compose("download", ["out=unused"]))


@pytest.fixture
def download_to(gdc_portal, defaults, tmp_path, monkeypatch):
    """Run the verb with some options, and return its exit code."""

    def run(**options):
        here = {"out": f"{tmp_path}/out", "portal": gdc_portal.address} | options
        monkeypatch.setattr(terminal, "options_typed", [f"{n}={here[n]}" for n in here])
        return download.run(replace(defaults, **here))

    return run


@pytest.fixture
def command(gdc_portal, three, download_to, tmp_path):
    """Run the verb on a manifest of three files."""
    manifest = gdc_portal.manifest(tmp_path / "manifest.txt", *three)
    return functools.partial(download_to, manifest=str(manifest))


def whole(files, out):
    return [file.name for file in files if (out / file.path).is_file()]


def statuses(rows):
    return [row["status"] for row in rows]


def test_a_manifest_comes_and_is_there_the_second_time(
    gdc_portal, command, three, tmp_path, table, capsys
):
    out = tmp_path / "out"
    assert command() == 0
    said = capsys.readouterr().out
    assert "3 files, 61.4 kB in" in said
    assert f"next: histofed tile slides={out}" in said
    rows = table(out / "download.csv")
    assert [row["filename"] for row in rows] == ["slide-1.svs", "slide-2.svs", "slide-3.svs"]
    for file, row in zip(three, rows, strict=True):
        assert (out / row["path"]).read_bytes() == gdc_portal.contents[file.id]
        assert (row["status"], row["md5"], row["reason"]) == ("done", file.md5, "")
    assert {path.name for path in out.iterdir()} == {
        "download.csv",
        RECORDS,
        *(file.id for file in three),
    }
    gdc_portal.requests.clear()
    assert command() == 0
    assert gdc_portal.requests == []
    assert "3 files, 61.4 kB, there already" in capsys.readouterr().out
    assert statuses(table(out / "download.csv")) == ["kept"] * 3


def test_one_that_fails_is_named_and_the_next_run_gets_it(
    gdc_portal, command, three, tmp_path, table, capsys
):
    out = tmp_path / "out"
    content = gdc_portal.contents.pop(three[1].id)
    gdc_portal.plan(three[1], gdc_portal.status(404))
    gdc_portal.plan(three[2], gdc_portal.sends(b"z" * three[2].size))
    assert command() == 3
    said = capsys.readouterr().out
    assert "failed slide-2.svs: DownloadError: http://127.0.0.1" in said
    assert "failed slide-3.svs: DownloadError: its md5 is" in said
    assert "2 files, 51.2 kB; reasons in" in said
    assert "next: histofed download" in said
    assert whole(three, out) == ["slide-1.svs"]
    rows = table(out / "download.csv")
    assert statuses(rows) == ["done", "failed", "failed"]
    assert "404" in rows[1]["reason"]
    gdc_portal.contents[three[1].id] = content
    assert command() == 0
    assert statuses(table(out / "download.csv")) == ["kept", "done", "done"]


def test_a_dry_run_shows_files_and_bytes_and_writes_nothing(
    gdc_portal, command, three, tmp_path, capsys
):
    out = tmp_path / "out"
    part = part_path(three[2], out)
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:720])
    before = sorted(out.rglob("*"))
    assert command(dry_run=True, connections=2) == 0
    said = capsys.readouterr().out
    assert sorted(out.rglob("*")) == before
    assert gdc_portal.requests == []
    assert "3 files to come, 60.7 kB" in said
    for words in ("slide-2.svs", "20.5 kB", "begun", "1 file, 30.7 kB", "2 files, 30.7 kB"):
        assert words in said
    following = next(line for line in said.splitlines() if line.startswith("next:"))
    assert "connections=2" in following
    assert "dry_run=" not in following


def test_a_dry_run_of_many_names_the_first(gdc_portal, download_to, tmp_path, capsys):
    files = [gdc_portal.add(b"x" * n, name=f"{n}.svs") for n in range(1, 26)]
    manifest = gdc_portal.manifest(tmp_path / "m.txt", *files)
    assert download_to(manifest=str(manifest), dry_run=True) == 0
    said = capsys.readouterr().out
    assert "20.svs" in said
    assert "21.svs" not in said
    assert "and 5 other files" in said
    assert not (tmp_path / "out").exists()


def test_a_disk_with_too_little_room_is_said(command, monkeypatch, capsys):
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: free)
    assert command(dry_run=True) == 0
    assert "Only 1 kB are free" in capsys.readouterr().out


def test_slides_of_a_project(gdc_portal, download_to, three, tmp_path):
    gdc_portal.hits = [
        {"file_id": each.id, "file_name": each.name, "md5sum": each.md5, "file_size": each.size}
        for each in three
    ]
    assert download_to(project=["TCGA-LUAD", "TCGA-LUSC"]) == 0
    assert whole(three, tmp_path / "out") == ["slide-1.svs", "slide-2.svs", "slide-3.svs"]
    assert download_to(project="TCGA-MESO", slide_type="tissue") == 0
    asked = [each["filters"]["content"] for each in gdc_portal.questions]
    assert asked[0][0]["content"]["value"] == ["TCGA-LUAD", "TCGA-LUSC"]
    assert asked[1][0]["content"]["value"] == ["TCGA-MESO"]
    assert asked[1][2]["content"]["value"] == ["Tissue Slide"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either manifest=FILE or project=NAME"),
        ({"manifest": "m.txt", "project": "TCGA-MESO"}, "either manifest=FILE or project=NAME"),
        ({"manifest": "nowhere.txt"}, "nowhere.txt is not there"),
        ({"project": []}, "must be the name of a project"),
        ({"project": "TCGA MESO"}, "must be the name of a project"),
        ({"project": ["TCGA-MESO", "a/b"]}, "project=a/b"),
        ({"project": "X", "portal": "http://api.gdc.cancer.gov"}, "https://"),
        ({"project": "X", "token": "eyJhbGciOi"}, "never the token itself"),
        ({"project": "TCGA-MESSO"}, "no slides of TCGA-MESSO with slide_type=diagnostic"),
    ],
)
def test_what_is_refused_before_any_work(download_to, tmp_path, options, words):
    with pytest.raises(HistofedError) as caught:
        download_to(**options)
    assert words in str(caught.value)
    assert "eyJhbGciOi" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("slide_type=frozen", "one of diagnostic, tissue, both"),
        ("connections=0", "1 to 32"),
        ("attempts=0", "at least 1"),
        ("timeout_s=0", "more than 0"),
    ],
)
def test_options_out_of_their_limits(option, words):
    with pytest.raises(ConfigError, match=words):
        compose("download", ["out=o", option])


def test_the_token_is_sent_and_never_shown(gdc_portal, command, three, tmp_path, capsys):
    (tmp_path / "token.txt").write_text("eyJ-secret\n")
    gdc_portal.plan(three[0], gdc_portal.status(403))
    assert command(token=f"{tmp_path}/token.txt") == 3
    assert {headers["x-auth-token"] for _, headers in gdc_portal.requests} == {"eyJ-secret"}
    captured = capsys.readouterr()
    written = (tmp_path / "out" / "download.csv").read_text()
    assert "eyJ-secret" not in captured.out + captured.err + written


def test_another_file_in_the_way_is_kept_until_it_may_go(
    gdc_portal, command, three, tmp_path, table
):
    """One of the same size, one of another; and one that somebody else downloaded rightly."""
    out = tmp_path / "out"
    contents = [b"z" * three[0].size, b"mine", gdc_portal.contents[three[2].id]]
    for file, content in zip(three, contents, strict=True):
        (out / file.path).parent.mkdir(parents=True)
        (out / file.path).write_bytes(content)
    assert command() == 3
    rows = table(out / "download.csv")
    assert statuses(rows) == ["failed", "failed", "kept"]
    assert all("overwrite=true" in row["reason"] for row in rows[:2])
    assert [(out / file.path).read_bytes() for file in three] == contents
    assert gdc_portal.requests == []
    assert command(overwrite=True) == 0
    assert statuses(table(out / "download.csv")) == ["done", "done", "kept"]
    for file in three:
        assert (out / file.path).read_bytes() == gdc_portal.contents[file.id]


def test_a_file_that_was_damaged_since_is_found_when_asked_for(command, three, tmp_path, table):
    out = tmp_path / "out"
    assert command() == 0
    path = out / three[0].path
    times = path.stat()
    path.write_bytes(b"z" * three[0].size)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert command() == 0  # as a disk does it, so that no time tells
    assert command(verify=True) == 3
    assert statuses(table(out / "download.csv")) == ["failed", "kept", "kept"]
    assert command(overwrite=True) == 0


def test_rows_of_an_earlier_manifest_stay(gdc_portal, command, download_to, tmp_path, table):
    out = tmp_path / "out"
    assert command() == 0
    more = gdc_portal.add(b"more", name="mutations.maf.gz")
    manifest = gdc_portal.manifest(tmp_path / "second.txt", more)
    assert download_to(manifest=str(manifest)) == 0
    names = [row["filename"] for row in table(out / "download.csv")]
    assert names == ["slide-1.svs", "slide-2.svs", "slide-3.svs", "mutations.maf.gz"]


def test_a_portal_that_is_down_is_not_asked_for_every_file(
    gdc_portal, download_to, tmp_path, table, capsys
):
    files = [gdc_portal.add(b"x", name=f"{n}.svs") for n in range(30)]
    for file in files:
        gdc_portal.plan(file, *[gdc_portal.status(503)] * 9)
    manifest = gdc_portal.manifest(tmp_path / "m.txt", *files)
    assert download_to(manifest=str(manifest), attempts=2, connections=1) == 3
    assert len(gdc_portal.requests) == 2 * downloading.MOST_SILENT
    found = statuses(table(tmp_path / "out" / "download.csv"))
    assert found == ["failed"] * 10 + ["left"] * 20
    assert "10 in a row had no answer" in capsys.readouterr().out


def test_two_at_a_time_in_one_folder(gdc_portal, command, three, tmp_path):
    """The second is refused by name, and the first ends as if nothing had been."""
    gdc_portal.plan(three[0], gdc_portal.hangs(after=5000))
    codes = []
    first = threading.Thread(target=lambda: codes.append(command(connections=1)))
    first.start()
    assert gdc_portal.asked.wait(20)
    owner = f"{os.uname().nodename}, process {os.getpid()}"
    with pytest.raises(OutputUnwritable, match=rf"another download works there \({owner}\)"):
        command()
    gdc_portal.released.set()
    first.join(20)
    assert codes == [0]
    assert command() == 0
    assert whole(three, tmp_path / "out") == ["slide-1.svs", "slide-2.svs", "slide-3.svs"]


def test_a_stopped_command_is_gone_on_with(gdc_portal, command, three, tmp_path, table):
    """SIGTERM, as batch systems send it, while the portal is silent in the midst of a file."""
    out = tmp_path / "out"
    gdc_portal.plan(three[1], gdc_portal.hangs(after=5000))

    def stop():
        part = part_path(three[1], out)
        while not part.exists() or part.stat().st_size < 5000:
            threading.Event().wait(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    with pytest.raises(KeyboardInterrupt):
        command(connections=1)
    assert statuses(table(out / "download.csv")) == ["done", "left", "left"]
    gdc_portal.released.set()
    assert command() == 0
    assert gdc_portal.starts(three[1]) == [0, 5000]
    assert statuses(table(out / "download.csv")) == ["kept", "done", "done"]


def test_a_full_disk_stops_all_and_costs_nothing(command, three, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def write(opened, block):
        """As the kernel does it (tests/io/gdc has the real thing): what fits, and then no more."""
        room = 15_000 - opened.tell()
        opened.write(block[:room])
        if len(block) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(fetch, "_write_all", write)
        with pytest.raises(OutputUnwritable, match="free space there"):
            command(connections=1)
    assert whole(three, out) == ["slide-1.svs"]
    assert part_path(three[1], out).stat().st_size == 15_000
    assert not part_path(three[2], out).exists()
    assert command() == 0
    assert whole(three, out) == ["slide-1.svs", "slide-2.svs", "slide-3.svs"]


def test_what_cannot_be_written_fails_by_name_and_the_others_come(command, three, tmp_path, table):
    out = tmp_path / "out"
    out.mkdir()
    (out / three[0].id).touch()
    assert command() == 3
    rows = table(out / "download.csv")
    assert statuses(rows) == ["failed", "done", "done"]
    assert "OutputUnwritable" in rows[0]["reason"]
    assert three[0].id in rows[0]["reason"]


def test_the_command_as_it_is_typed(gdc_portal, tmp_path, capsys):
    """Files that are no slides have no next command."""
    file = gdc_portal.add(b"x", name="mutations.maf.gz")
    manifest = gdc_portal.manifest(tmp_path / "m.txt", file)
    where = [f"manifest={manifest}", f"out={tmp_path}/out", f"portal={gdc_portal.address}"]
    assert main(["download", *where]) == 0
    assert "next:" not in capsys.readouterr().out
    assert (tmp_path / "out" / file.path).read_bytes() == b"x"
