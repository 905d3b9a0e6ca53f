"""Many processes on one folder, killed, stopped and starved: nothing is lost or done wrong."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import histofed
from histofed.core.types import Slide
from histofed.io.pyramid import write_pyramid
from histofed.io.queue import WorkQueue
from histofed.io.store import FeatureStore
from histofed.pipeline.config import compose, to_object
from histofed.pipeline.shared_results import SharedResults
from histofed.pipeline.sharing import each_slide, one_result
from histofed.pipeline.slides import Outcome

if TYPE_CHECKING:
    from collections.abc import Generator

SOURCE = Path(histofed.__file__).resolve().parents[1]
ENCODER = "efficientnet_lite0"
N_SLIDES = 12


class Quick:
    """A program that starts the command in new processes at once."""

    def __init__(self, log: Path) -> None:
        program = str(Path(__file__).with_name("quick_histofed.py"))
        environment = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
        self.log = log
        self._server = subprocess.Popen(
            [sys.executable, program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def _ask(self, **request: object) -> int:
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def start(self, *arguments: str, **limits: int) -> int:
        """Start a process and return its number."""
        return self._ask(start=arguments, log=str(self.log), **limits)

    def wait(self, process: int) -> int:
        """Return the exit code, or minus the signal, of a process that ends."""
        return self._ask(wait=process)

    def run(self, *arguments: str, **limits: int) -> SimpleNamespace:
        self.log.unlink(missing_ok=True)
        code = self.wait(self.start(*arguments, **limits))
        return SimpleNamespace(code=code, said=self.log.read_text())

    def close(self) -> None:
        self._server.communicate()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    program = Quick(tmp_path_factory.mktemp("quick") / "log")
    yield program
    program.close()


def draw_slide(path: Path, *, size_px: int = 400, seed: int = 0) -> Path:
    """Draw glass with a square of tissue; 400 px make one tile."""
    generator = np.random.default_rng(seed)
    picture = np.full((size_px, size_px, 3), 244, dtype=np.uint8)
    stain = np.array([196, 118, 178]) + generator.integers(-25, 25, (size_px - 80,) * 2 + (1,))
    picture[40:-40, 40:-40] = stain.clip(0, 255)
    return write_pyramid(path, picture, mpp=0.5)


@pytest.fixture(scope="module")
def slides(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("slides")
    for number in range(N_SLIDES):
        draw_slide(folder / f"s{number:02}.svs", size_px=400 + 60 * (number % 2), seed=number)
    return folder


def results(work: Path) -> dict[str, bytes]:
    """Return every result of a work folder; not the records, which say who did what and when."""
    found = [*work.glob("tiles/*.h5"), *work.glob("tiles/*.jpg"), *work.glob("features/*/*.h5")]
    return {str(path.relative_to(work)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def undisturbed(quick, slides, tmp_path_factory) -> dict[str, bytes]:
    """Results of one process that nobody interrupts."""
    work = tmp_path_factory.mktemp("undisturbed")
    assert quick.run("extract", f"slides={slides}", f"work={work}").code == 0
    assert len(results(work)) == 3 * N_SLIDES
    return results(work)


def records(work: Path) -> WorkQueue:
    return WorkQueue(work / "features" / ENCODER / "records")


def statuses(path: Path, table) -> list[str]:
    return [row["status"] for row in table(path / "slides.csv")]


# Killed, stopped, shared.


def keep_some_work(work: Path, chance: random.Random, *, n_slides: int, of: int = N_SLIDES) -> None:
    """Remove results, whatever their records say, until so many slides are to be done."""
    while True:
        done = sorted(path.stem for path in work.glob("features/*/*.h5"))
        if len(set(done)) <= of - n_slides:
            return
        for path in work.rglob(f"{chance.choice(done)}.h5"):
            path.unlink()


@pytest.mark.parametrize("n_kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments_the_features_are_the_same(
    quick, slides, undisturbed, tmp_path, table, n_kills
) -> None:
    command = ("extract", f"slides={slides}", f"work={tmp_path}", "sharing.stale_after_s=1")
    chance, n_killed = random.Random(n_kills), 0
    while n_killed < n_kills:
        keep_some_work(tmp_path, chance, n_slides=6)
        for process in [quick.start(*command), quick.start(*command)]:
            time.sleep(chance.uniform(0.05, 0.3))
            os.kill(process, signal.SIGKILL)
            n_killed += quick.wait(process) == -signal.SIGKILL
    time.sleep(1.1)  # what the last one left behind is old now
    last = quick.run(*command)
    assert last.code == 0, last.said
    assert results(tmp_path) == undisturbed
    assert set(statuses(tmp_path / "features" / ENCODER, table)) <= {"done", "kept"}
    assert not list(tmp_path.rglob(".*"))


def test_processes_share_a_cohort_without_talking(
    quick, slides, undisturbed, tmp_path, table
) -> None:
    quick.log.unlink(missing_ok=True)
    command = ("extract", f"slides={slides}", f"work={tmp_path}")
    running = [quick.start(*command) for _ in range(3)]
    assert [quick.wait(process) for process in running] == [0, 0, 0]
    assert results(tmp_path) == undisturbed
    histories = [records(tmp_path).attempts(f"s{number:02}") for number in range(N_SLIDES)]
    assert [[each.status for each in history] for history in histories] == [["done"]] * N_SLIDES
    assert {history[0].pid for history in histories} <= set(running)
    rows = table(tmp_path / "features" / ENCODER / "slides.csv")
    assert [row["slide_id"] for row in rows] == [f"s{number:02}" for number in range(N_SLIDES)]
    assert {row["status"] for row in rows} == {"done"}
    assert quick.log.read_text().count(f"done    {N_SLIDES} slides") == 3  # they agree
    assert "nothing to do" in quick.run(*command).said
    assert set(statuses(tmp_path / "features" / ENCODER, table)) == {"kept"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_process_gives_its_slide_back(
    quick, slides, undisturbed, tmp_path, number
) -> None:
    command = ("extract", f"slides={slides}", f"work={tmp_path}")
    quick.log.unlink(missing_ok=True)
    process = quick.start(*command)
    while not records(tmp_path).attempts("s00"):
        time.sleep(0.001)
    os.kill(process, number)  # while it claims, or soon after
    assert quick.wait(process) == 130, quick.log.read_text()
    attempts = [records(tmp_path).attempts(f"s{number:02}") for number in range(N_SLIDES)]
    assert all(each.status == "done" or each.released for history in attempts for each in history)
    assert not list(tmp_path.rglob(".*"))
    again = quick.run(*command)
    assert (again.code, "died" in again.said) == (0, False)
    assert results(tmp_path) == undisturbed


def test_slides_of_a_living_process_are_left_to_it(quick, slides, tmp_path, table) -> None:
    command = ("extract", f"slides={slides}", f"work={tmp_path}")
    owner = WorkQueue(records(tmp_path).folder, stale_after_s=1)
    with owner.claim("s03", "key of other options", history=[]):
        short = quick.run(*command, "sharing.wait=false")
        assert (short.code, "1 slide that other processes work on" in short.said) == (4, True)
        rows = table(tmp_path / "features" / ENCODER / "slides.csv")
        assert [row["slide_id"] for row in rows if row["status"] == "left"] == ["s03"]
        assert f"process {os.getpid()}, works on it" in rows[3]["reason"]
        quick.log.unlink()
        patient = quick.start(*command, "sharing.stale_after_s=1")
        while not (quick.log.exists() and "waiting for 1 slide " in quick.log.read_text()):
            time.sleep(0.05)  # if it never comes, the test runs out of time
        time.sleep(1.5)  # longer than stale; the owner lives
        assert not (tmp_path / "features" / ENCODER / "s03.h5").exists()
    assert quick.wait(patient) == 0
    assert (tmp_path / "features" / ENCODER / "s03.h5").exists()
    assert set(statuses(tmp_path / "features" / ENCODER, table)) == {"done", "kept"}


def test_the_slide_of_a_dead_process_is_taken_over_last_of_all(quick, slides, tmp_path) -> None:
    queue = records(tmp_path)
    queue.claim("s00", "key", history=[])
    claim = queue.path("s00", 1)
    elsewhere = json.loads(claim.read_text()) | {"host": "node7", "pid": 77, "process": "b c 77 1"}
    claim.write_text(json.dumps(elsewhere))
    then = queue.now_s() - 301
    os.utime(claim, (then, then))
    found = quick.run("extract", f"slides={slides}", f"work={tmp_path}")
    assert found.code == 0
    assert "s00: node7, process 77, died while working on it; trying again" in found.said
    dead, mine = queue.attempts("s00")
    assert (dead.status, mine.status, mine.attempts) == ("working", "done", 1)
    others = [queue.attempts(f"s{number:02}")[0] for number in range(1, N_SLIDES)]
    assert mine.touched_s >= max(each.touched_s for each in others)


# A record of what is not there is no result.


@pytest.mark.parametrize("harm", ["missing", "truncated", "other slide"])
def test_a_result_that_is_not_there_is_made_again(
    quick, slides, undisturbed, tmp_path, table, harm
) -> None:
    command = ("extract", f"slides={slides}", f"work={tmp_path}")
    assert quick.run(*command).code == 0
    file = tmp_path / "features" / ENCODER / "s05.h5"
    if harm == "missing":
        file.unlink()
    elif harm == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        shutil.copy(file.with_name("s04.h5"), file)
    found = quick.run(*command)
    row = table(file.with_name("slides.csv"))[5]
    if harm == "other slide":  # nothing was lost that could not be put back: a person decides
        assert found.code == 3
        assert "StoreError: " in row["reason"]
        assert "holds slide s04 under another name" in row["reason"]
        return
    assert found.code == 0, found.said
    assert row["status"] == "done"
    assert results(tmp_path) == undisturbed


def test_results_without_records_are_kept_and_get_records(quick, slides, tmp_path, table) -> None:
    command = ("extract", f"slides={slides}", f"work={tmp_path}")
    assert quick.run(*command).code == 0
    before = results(tmp_path)
    shutil.rmtree(records(tmp_path).folder)
    for _ in range(2):
        found = quick.run(*command)
        assert (found.code, "nothing to do" in found.said) == (0, True)
        assert set(statuses(tmp_path / "features" / ENCODER, table)) == {"kept"}
    assert results(tmp_path) == before
    assert [each.status for each in records(tmp_path).attempts("s00")] == ["kept"]


def test_a_replaced_slide_is_noticed_whatever_its_size_and_date(quick, tmp_path, table) -> None:
    first, second = (draw_slide(tmp_path / "a.svs", seed=seed).read_bytes() for seed in (1, 2))
    size_bytes = max(len(first), len(second))
    slide = tmp_path / "in" / "a.svs"
    slide.parent.mkdir()
    slide.write_bytes(first.ljust(size_bytes, b"\0"))
    command = ("extract", f"slides={slide}", f"work={tmp_path}")
    assert quick.run(*command).code == 0
    before = slide.stat()
    slide.write_bytes(second.ljust(size_bytes, b"\0"))
    os.utime(slide, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = quick.run(*command)
    assert (found.code, "another slide of this name" in found.said) == (3, True)
    assert quick.run(*command, "overwrite=true").code == 0
    slide.touch()  # the same slide with another date was not replaced
    assert "nothing to do" in quick.run(*command).said


# Bad slides.


def test_a_slide_truncated_half_way_is_named_and_done_when_it_is_whole(
    quick, slides, tmp_path, table
) -> None:
    slide = tmp_path / "in" / "half.svs"
    slide.parent.mkdir()
    whole = (slides / "s01.svs").read_bytes()
    slide.write_bytes(whole[: len(whole) // 2])
    command = ("extract", f"slides={slide}", f"work={tmp_path}")
    for attempt in ("1", "2", "3"):
        assert quick.run(*command).code == 3
        [row] = table(tmp_path / "features" / ENCODER / "slides.csv")
        assert (row["status"], row["attempts"]) == ("failed", attempt)
        assert row["reason"].startswith("SlideUnreadable: ")
        assert "half.svs" in row["reason"]
    given_up = quick.run(*command)
    assert (given_up.code, "sharing.attempts=4" in given_up.said) == (3, True)
    assert len(records(tmp_path).attempts("half")) == 3
    assert quick.run(*command, "sharing.attempts=4").code == 3
    assert len(records(tmp_path).attempts("half")) == 4
    slide.write_bytes(whole)
    assert quick.run(*command).code == 0


def test_one_tile_and_no_tile(quick, tmp_path, table) -> None:
    folder = tmp_path / "in"
    draw_slide(folder / "one.svs")
    write_pyramid(folder / "glass.svs", np.full((300, 300, 3), 244, dtype=np.uint8), mpp=0.5)
    command = ("extract", f"slides={folder}", f"work={tmp_path}")
    for status in ("done", "kept"):
        found = quick.run(*command)
        assert (found.code, "1 slide (glass): no tissue" in found.said) == (0, True)
        rows = table(tmp_path / "features" / ENCODER / "slides.csv")
        assert [(row["slide_id"], row["status"]) for row in rows] == [
            ("glass", "empty"),
            ("one", status),
        ]
        assert [row["n_tiles"] for row in rows] == ["0", "1"]
        assert rows[0]["reason"].startswith("NoTissue: slide glass: no tile of 112 um")
    assert len(records(tmp_path).attempts("glass")) == 1  # not tried again


def test_a_slide_that_changes_while_it_is_read_leaves_no_result(slides, tmp_path) -> None:
    slide = Slide(slide_id="a", patient_id="a", site="", path=tmp_path / "a.svs")
    shutil.copy(slides / "s00.svs", slide.path)
    store = FeatureStore(tmp_path / "features")
    config = to_object(compose("tile", []))

    def work(slide: Slide) -> Generator[float, None, Outcome]:
        yield 0.5
        store.folder.mkdir(exist_ok=True)
        store.path("a").write_bytes(b"of half the old slide and half the new one")
        with slide.path.open("ab") as file:
            file.write(b"more")
        return Outcome(slide_id="a", status="done")

    results = SharedResults(store, recipe_digest="r", source_digest=lambda _: "", config=config)
    [found] = each_slide("Test", [slide], one_result(work), results={"test": results})["test"]
    assert found.status == "failed"
    assert f"SlideUnreadable: slide a: {slide.path} changed while it was read" in found.reason
    assert not store.path("a").exists()


# Places that cannot be written.


def test_a_file_that_grows_too_large_stops_the_run_by_name(quick, slides, tmp_path) -> None:
    command = ("extract", f"slides={slides}", f"work={tmp_path}")
    found = quick.run(*command, max_file_bytes=3000)
    assert found.code == 2
    assert "histofed extract: " in found.said
    assert "tiles/s00.h5 cannot be written (File too large); free space there" in found.said
    assert "Traceback" not in found.said
    assert records(tmp_path).attempts("s00")[-1].released
    assert not list(tmp_path.rglob(".*"))
    assert quick.run(*command).code == 0


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_stops_the_run_by_name_and_loses_nothing(
    quick, slides, undisturbed, small_disk
) -> None:
    command = ("extract", f"slides={slides}", f"work={small_disk}")
    found = quick.run(*command)
    assert found.code == 2
    assert f"{small_disk}/" in found.said
    assert "cannot be written (No space left on device); free space there" in found.said
    assert "Traceback" not in found.said
    assert not list(small_disk.rglob(".*"))
    n_done = len(results(small_disk))
    assert 0 < n_done < len(undisturbed)
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert quick.run(*command).code == 0
    assert results(small_disk) == undisturbed


@pytest.mark.parametrize("option", ["work", "features"])
def test_an_output_that_cannot_be_written_is_named(quick, slides, tmp_path, option) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    here = {"work": tmp_path} | {option: tmp_path / "file" / "inside"}
    found = quick.run("extract", f"slides={slides}", *(f"{k}={v}" for k, v in here.items()))
    assert found.code == 2
    assert f"{tmp_path}/file/inside" in found.said
    assert "cannot be written (Not a directory)" in found.said
    assert "Traceback" not in found.said


# Several encoders.


BOTH = "encoder=[efficientnet_lite0,phikon]"
N_FEW = 4


def history(work: Path, encoder: str, slide_id: str) -> list[str]:
    queue = WorkQueue(work / "features" / encoder / "records")
    return [each.status for each in queue.attempts(slide_id)]


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    for number in range(N_FEW):
        draw_slide(folder / f"s{number:02}.svs", size_px=400 + 60 * (number % 2), seed=number)
    return folder


@pytest.fixture(scope="module")
def by_both(quick, few, tmp_path_factory) -> dict[str, bytes]:
    """Results of two encoders, by a command each: no tile was read for both."""
    work = tmp_path_factory.mktemp("both")
    for encoder in ("efficientnet_lite0", "phikon"):
        command = ("extract", f"slides={few}", f"work={work}", f"encoder={encoder}")
        assert quick.run(*command).code == 0
    assert len(results(work)) == 4 * N_FEW
    return results(work)


def test_two_encoders_at_once_make_what_two_commands_do(
    quick, few, by_both, tmp_path, table
) -> None:
    command = ("extract", f"slides={few}", f"work={tmp_path}", BOTH)
    first = quick.run(*command)
    assert first.code == 0, first.said
    assert results(tmp_path) == by_both
    for encoder in ("efficientnet_lite0", "phikon"):
        folder = tmp_path / "features" / encoder
        assert set(statuses(folder, table)) == {"done"}
        assert f"features={folder} " in first.said
    assert quick.run(*command).said.count("nothing to do") == 2


def test_a_slide_done_by_one_encoder_is_encoded_by_the_other_only(
    quick, few, by_both, tmp_path, table
) -> None:
    one = ("extract", f"slides={few}", f"work={tmp_path}")
    assert quick.run(*one).code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("features/*/*.h5")}
    assert quick.run(*one, BOTH).code == 0
    assert results(tmp_path) == by_both
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert set(statuses(tmp_path / "features" / "efficientnet_lite0", table)) == {"kept"}
    assert set(statuses(tmp_path / "features" / "phikon", table)) == {"done"}


def test_killed_with_two_encoders_and_resumed_with_one_and_two(
    quick, few, by_both, tmp_path
) -> None:
    command = ("extract", f"slides={few}", f"work={tmp_path}", "sharing.stale_after_s=1")
    chance, n_killed = random.Random(2), 0
    while n_killed < 4:
        keep_some_work(tmp_path, chance, n_slides=3, of=N_FEW)
        running = [quick.start(*command, BOTH), quick.start(*command, "encoder=phikon")]
        for process in running:
            time.sleep(chance.uniform(0.05, 0.3))
            os.kill(process, signal.SIGKILL)
            n_killed += quick.wait(process) == -signal.SIGKILL
    time.sleep(1.1)  # what the last one left behind is old now
    assert quick.run(*command, "encoder=phikon").code == 0
    last = quick.run(*command, BOTH)
    assert last.code == 0, last.said
    assert results(tmp_path) == by_both
    assert not list(tmp_path.rglob(".*"))


def test_processes_with_other_encoders_share_too(quick, few, by_both, tmp_path) -> None:
    command = ("extract", f"slides={few}", f"work={tmp_path}")
    choices = (BOTH, "encoder=phikon", BOTH)
    running = [quick.start(*command, choice) for choice in choices]
    assert [quick.wait(process) for process in running] == [0, 0, 0]
    assert results(tmp_path) == by_both
    for number in range(N_FEW):
        for encoder in ("efficientnet_lite0", "phikon"):
            assert history(tmp_path, encoder, f"s{number:02}") == ["done"]


def test_what_others_hold_for_one_encoder_is_done_for_the_other(quick, few, tmp_path) -> None:
    queue = WorkQueue(tmp_path / "features" / "phikon" / "records")
    with queue.claim("s03", "key of other options", history=[]):
        short = quick.run(
            "extract", f"slides={few}", f"work={tmp_path}", BOTH, "sharing.wait=false"
        )
    assert short.code == 4
    assert history(tmp_path, "efficientnet_lite0", "s03") == ["done"]
    assert history(tmp_path, "phikon", "s03") == ["working"]


def test_features_of_other_options_by_one_encoder_do_not_harm_the_other(
    quick, few, tmp_path, table
) -> None:
    command = ("extract", f"slides={few}", f"work={tmp_path}")
    assert quick.run(*command).code == 0
    folder = tmp_path / "features" / "efficientnet_lite0"
    shutil.copy(folder / "s01.h5", folder / "s02.h5")  # as if of another slide
    found = quick.run(*command, BOTH)
    assert found.code == 3
    assert statuses(folder, table).count("failed") == 1
    assert set(statuses(tmp_path / "features" / "phikon", table)) == {"done"}
