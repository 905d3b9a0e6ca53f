"""Several files at a time: each once, and a stop is a stop."""

from __future__ import annotations

import threading
import time

import pytest

from histofed.errors import DownloadError
from histofed.io.gdc import GdcFile, each_file, workers
from histofed.io.gdc.patience import Stopped


def some(n):
    return [
        GdcFile(id=f"{i:08}-0000-0000-0000-000000000000", name=f"{i}.svs", md5="0" * 32, size=i)
        for i in range(n)
    ]


def ended(files, work, *, n_threads=4, stop=None):
    stop = stop or threading.Event()
    return [one for one in each_file(files, work, n_threads=n_threads, stop=stop) if one]


@pytest.mark.parametrize(("n_files", "n_threads"), [(0, 4), (1, 4), (50, 4), (7, 1)])
def test_every_file_once(n_files, n_threads):
    worked = []

    def work(file):
        worked.append(file)
        return "done"

    files = some(n_files)
    found = ended(files, work, n_threads=n_threads)
    assert sorted(worked, key=lambda file: file.id) == files
    assert sorted(one.file.id for one in found) == [file.id for file in files]
    assert {one.status for one in found} <= {"done"}


def test_as_many_at_a_time_as_asked_for():
    barrier = threading.Barrier(3, timeout=5)  # passes only when three are there
    assert len(ended(some(3), lambda _: str(barrier.wait()), n_threads=3)) == 3


def test_a_failure_is_told_and_the_others_go_on():
    def work(file):
        if file.size == 1:
            raise DownloadError("gone")
        if file.size == 2:
            raise PermissionError("not yours")
        return "done"

    found = {one.file.size: one for one in ended(some(4), work)}
    assert [found[n].status for n in range(4)] == ["done", "failed", "failed", "done"]
    assert isinstance(found[1].error, DownloadError)
    assert isinstance(found[2].error, PermissionError)


def test_after_a_stop_nothing_is_begun():
    stop = threading.Event()

    def work(file):
        if file.size == 1:
            stop.set()
            raise Stopped
        return "done"

    found = ended(some(50), work, n_threads=1, stop=stop)
    assert [one.status for one in found] == ["done", "left"]


def test_whoever_waits_hears_that_nothing_ended_and_may_leave(monkeypatch):
    monkeypatch.setattr(workers, "BEAT_S", 0.01)
    monkeypatch.setattr(workers, "LEAVE_S", 0.05)
    released, stop = threading.Event(), threading.Event()
    working = each_file(some(1), lambda _: str(released.wait(10)), n_threads=1, stop=stop)
    assert next(working) is None
    began_s = time.monotonic()
    working.close()
    assert stop.is_set()
    assert time.monotonic() - began_s < 5
    released.set()
