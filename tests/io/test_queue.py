"""Sharing work through a folder: once each, taken over when the owner is gone, given back else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import histofed
from histofed.errors import OutputUnwritable
from histofed.io.queue import WorkQueue

SOURCE = Path(histofed.__file__).resolve().parents[1]

WORKER = """
import sys, time
from pathlib import Path
from histofed.io.queue import WorkQueue

queue = WorkQueue(Path(sys.argv[1]), stale_after_s=60)
while not Path(sys.argv[1], "go").exists():
    time.sleep(0.005)
for number in range(int(sys.argv[2])):
    history = queue.attempts(f"item-{number}")
    if history and (history[-1].status == "done" or queue.is_held(history)):
        continue
    if claim := queue.claim(f"item-{number}", "key", history=history):
        with claim:
            print(number, flush=True)
            time.sleep(0.002)
            claim.finish("done")
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )


def work_of_processes(folder: Path, n_items: int, n_processes: int = 8) -> list[list[str]]:
    workers = [start(WORKER, folder, n_items) for _ in range(n_processes)]
    time.sleep(0.5)  # all wait for the same moment
    (folder / "go").touch()
    return [worker.communicate(timeout=60)[0].split() for worker in workers]


def times_done(shares: list[list[str]]) -> Counter[str]:
    return Counter(item for share in shares for item in share)


def grow_old(queue: WorkQueue, item: str, number: int = 1, *, by_s: float) -> None:
    """Make a claim look as if its owner, on another machine, were silent for so long."""
    path = queue.path(item, number)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"process": "boot pid 1 2"}))
    then = queue.now_s() - by_s
    os.utime(path, (then, then))


def test_eight_processes_do_400_items_once_each(tmp_path: Path) -> None:
    done = work_of_processes(tmp_path, 400)
    assert times_done(done) == {str(number): 1 for number in range(400)}
    assert sum(bool(mine) for mine in done) > 1  # they did share
    queue = WorkQueue(tmp_path)
    assert all(
        [each.status for each in queue.attempts(f"item-{number}")] == ["done"]
        for number in range(400)
    )


def test_of_eight_thieves_one_gets_each_dead_claim(tmp_path: Path) -> None:
    queue = WorkQueue(tmp_path)
    for number in range(100):
        assert queue.claim(f"item-{number}", "key", history=[])
        grow_old(queue, f"item-{number}", by_s=61)
    assert times_done(work_of_processes(tmp_path, 100)) == {str(n): 1 for n in range(100)}


def test_a_claim_is_ours_alone_and_says_whose(tmp_path: Path) -> None:
    queue = WorkQueue(tmp_path)
    with queue.claim("a", "key", history=[]) as claim:
        [attempt] = history = queue.attempts("a")
        assert (attempt.status, attempt.key, attempt.pid) == ("working", "key", os.getpid())
        assert f"process {os.getpid()}" in attempt.owner
        assert queue.is_held(history)
        assert queue.claim("a", "key", history=[]) is None
        claim.finish("failed", error="SlideError", message="why", attempts=2, result={"n": 3})
    [attempt] = queue.attempts("a")
    assert (attempt.status, attempt.error, attempt.message) == ("failed", "SlideError", "why")
    assert (attempt.attempts, attempt.result) == (2, {"n": 3})
    assert attempt.touched_s >= attempt.began_s > 0
    assert not queue.is_held([attempt])


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_whatever_ends_the_work_gives_the_item_back(tmp_path: Path, error) -> None:
    queue = WorkQueue(tmp_path)

    def work() -> None:
        with queue.claim("a", "key", history=[]):
            raise error

    with pytest.raises(error):
        work()
    history = queue.attempts("a")
    assert history[0].released
    assert not queue.is_held(history)
    assert queue.claim("a", "key", history=history)


def test_a_living_owner_keeps_its_claim_however_long_it_works(tmp_path: Path) -> None:
    queue = WorkQueue(tmp_path, stale_after_s=0.5)
    with queue.claim("a", "key", history=[]):
        first = queue.attempts("a")[0].touched_s
        time.sleep(0.8)
        history = queue.attempts("a")
        assert queue.now_s() - first > queue.stale_after_s
        assert queue.is_held(history)
        assert history[0].touched_s - first >= 0.1


def test_a_silent_owner_elsewhere_loses_its_claim_by_age_alone(tmp_path: Path) -> None:
    queue = WorkQueue(tmp_path, stale_after_s=300)
    queue.claim("a", "key", history=[])
    grow_old(queue, "a", by_s=290)
    assert queue.is_held(queue.attempts("a"))
    grow_old(queue, "a", by_s=310)
    assert not queue.is_held(queue.attempts("a"))


def test_a_sign_of_life_from_the_future_counts_only_while_it_moves(
    tmp_path: Path, monkeypatch
) -> None:
    """As a machine leaves it whose clock was ahead, where the file system goes by its clock."""
    queue, year_s, passed_s = WorkQueue(tmp_path, stale_after_s=300), 3e7, [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: passed_s[0])
    queue.claim("a", "key", history=[])
    grow_old(queue, "a", by_s=-year_s)
    assert queue.is_held(queue.attempts("a"))
    passed_s[0] += 290
    assert queue.is_held(queue.attempts("a"))
    grow_old(queue, "a", by_s=-year_s - 10)
    passed_s[0] += 290
    assert queue.is_held(queue.attempts("a"))
    passed_s[0] += 301
    assert not queue.is_held(queue.attempts("a"))


def test_the_clock_of_this_machine_is_not_asked(tmp_path: Path, monkeypatch) -> None:
    queue = WorkQueue(tmp_path, stale_after_s=300)
    monkeypatch.setattr(time, "time", lambda: 9e9)
    queue.claim("a", "key", history=[])
    grow_old(queue, "a", by_s=10)
    assert queue.is_held(queue.attempts("a"))
    assert queue.now_s() < 9e9
    assert not list(tmp_path.glob(".*"))  # the probe is gone


def test_the_file_system_is_asked_for_the_time_once_a_minute(tmp_path: Path, monkeypatch) -> None:
    queue, passed_s = WorkQueue(tmp_path), [100.0]
    asked = []
    monkeypatch.setattr(queue, "_ask", lambda: asked.append(passed_s[0]) or 5000.0 + len(asked))
    monkeypatch.setattr(time, "monotonic", lambda: passed_s[0])
    assert queue.now_s() == 5001
    passed_s[0] += 59
    assert queue.now_s() == 5001 + 59
    passed_s[0] += 2
    assert queue.now_s() == 5002
    assert asked == [100, 161]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_killed_process_of_this_machine_is_known_at_once(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from histofed.io.queue import WorkQueue
with WorkQueue(Path(sys.argv[1])).claim("a", "key", history=[]):
    print("claimed", flush=True)
    time.sleep(60)
"""
    queue = WorkQueue(tmp_path, stale_after_s=300)
    owner = start(code, tmp_path)
    try:
        assert owner.stdout.readline() == "claimed\n"
        assert queue.is_held(queue.attempts("a"))
    finally:
        os.kill(owner.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while queue.is_held(queue.attempts("a")) and time.monotonic() < deadline:
        time.sleep(0.01)  # it dies in a moment; nobody has yet asked for its exit code
    assert not queue.is_held(queue.attempts("a"))
    owner.communicate()
    assert not queue.is_held(queue.attempts("a"))
    assert not queue.attempts("a")[0].released


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"status": "working", "colour": 1}'])
def test_a_claim_of_somebody_unknown_is_respected_until_it_is_stale(tmp_path: Path, text) -> None:
    queue = WorkQueue(tmp_path, stale_after_s=300)
    queue.path("a", 1).write_text(text)
    assert queue.is_held(queue.attempts("a"))
    then = queue.now_s() - 301
    os.utime(queue.path("a", 1), (then, then))
    assert not queue.is_held(queue.attempts("a"))


@pytest.mark.parametrize(
    "data",
    [
        b'{"status": "done", "host": "\xff"}',
        b'{"status": "done", "result": [1]}',
        b'{"status": "done", "process": 7}',
        b'{"status": "done", "attempts": "1"}',
        b'{"status": "done", "attempts": true}',
        b'{"status": null}',
        b"[" * 100_000,
        None,
    ],
    ids=["bytes", "list", "number", "text", "truth", "nothing", "nested", "folder"],
)
def test_a_damaged_record_is_a_claim_of_somebody_unknown(tmp_path: Path, data) -> None:
    queue = WorkQueue(tmp_path, stale_after_s=300)
    path = queue.path("a", 1)
    path.mkdir() if data is None else path.write_bytes(data)
    [attempt] = history = queue.attempts("a")
    assert (attempt.status, attempt.result) == ("working", {})
    assert attempt.owner == "an unknown machine, process unknown"
    assert queue.is_held(history)
    os.utime(path, (then := queue.now_s() - 301, then))
    history = queue.attempts("a")
    assert not queue.is_held(history)
    with queue.claim("a", "key", history=history) as claim:
        claim.finish("done")
    assert [each.status for each in queue.attempts("a")] == ["working", "done"]


def test_a_damaged_name_of_a_process_says_nothing_of_its_death(tmp_path: Path) -> None:
    queue = WorkQueue(tmp_path, stale_after_s=300)
    assert queue.claim("a", "key", history=[])
    path = queue.path("a", 1)
    content = json.loads(path.read_text())
    boot, container, _, start_ = content["process"].split()
    path.write_text(json.dumps(content | {"process": f"{boot} {container} x7 {start_}"}))
    assert queue.is_held(queue.attempts("a"))


def test_items_whose_names_continue_each_other_are_apart(tmp_path: Path) -> None:
    queue = WorkQueue(tmp_path)
    assert queue.claim("a", "key", history=[])
    assert queue.attempts("a.1") == []
    assert queue.claim("a.1", "key", history=[])
    assert (len(queue.attempts("a")), len(queue.attempts("a.1"))) == (1, 1)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    queue = WorkQueue(tmp_path / "file" / "records")
    with pytest.raises(OutputUnwritable, match="file/records cannot be written"):
        queue.now_s()


def test_a_full_disk_gives_the_item_back(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    queue = WorkQueue(tmp_path)
    assert queue.began_s
    with monkeypatch.context() as patched:
        patched.setattr(json, "dump", full)
        with pytest.raises(OutputUnwritable, match=r"a\.1\.json .*No space left.*free space"):
            queue.claim("a", "key", history=[])
    with queue.claim("a", "key", history=queue.attempts("a")) as claim, monkeypatch.context() as p:
        p.setattr(json, "dump", full)
        with pytest.raises(OutputUnwritable, match=r"a\.2\.json"):
            claim.finish("done")
    assert [each.released for each in queue.attempts("a")] == [True, True]
    assert len(list(tmp_path.iterdir())) == 2
