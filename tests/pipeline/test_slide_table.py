"""The table of a run is a function of the records, so all processes of a job agree on it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.io.queue import Attempt, WorkQueue
from histofed.pipeline import slide_table
from histofed.pipeline.slide_table import COLUMNS, _job_began_s, last_ended, result_of, write_table
from histofed.pipeline.slides import Outcome


def no_mark(slide: str) -> None:
    """No result is there."""


DONE = Attempt(number=1, status="done", key="key")


def record(queue: WorkQueue, slide: str, status: str, **facts: object) -> None:
    with queue.claim(slide, "key", history=queue.attempts(slide)) as claim:
        claim.finish(status, **facts)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=8))
def test_processes_that_overlap_in_a_chain_find_one_beginning(spans) -> None:
    """Each process began at a time and ended its one slide some time later."""
    ended = [
        replace(DONE, began_s=float(began), touched_s=float(began + lasted))
        for began, lasted in spans
    ]
    found = {each.began_s: _job_began_s(each.began_s, ended) for each in ended}
    for one in ended:
        assert found[one.began_s] <= one.began_s
        assert found[one.began_s] in found
        for other in ended:
            if other.began_s <= one.began_s <= other.touched_s:  # they worked at the same time
                assert found[one.began_s] == found[other.began_s]
    late = max(each.touched_s for each in ended) + 1
    assert _job_began_s(late, ended) == late  # a later run is another job


def test_the_last_attempt_with_these_options_counts() -> None:
    history = [
        replace(DONE, status="failed"),
        replace(DONE, number=2, key="other options"),
        replace(DONE, number=3, status="empty"),
        replace(DONE, number=4, status="working"),
    ]
    assert last_ended(history, "key").number == 3
    assert last_ended(history, "nothing of this key") is None


def test_columns_come_back_and_unknown_ones_are_left_out(tmp_path: Path) -> None:
    queue = WorkQueue(tmp_path / "records")
    assert queue.began_s
    outcome = Outcome(slide_id="a", status="done", n_tiles=7, mpp=0.25)
    kept = result_of(outcome)
    assert (kept["n_tiles"], kept["mpp"]) == (7, 0.25)
    assert not {"slide_id", "status", "seconds", "reason", "attempts", "host"} & set(kept)
    record(queue, "a", "done", attempts=2, result=result_of(outcome) | {"of another version": 1})
    record(queue, "b", "failed", attempts=1, error="SlideError", message="why")
    a, b, c = write_table(
        tmp_path / "t.csv", dict.fromkeys("abc", "key"), queue=queue, mark=no_mark
    )
    assert (a.status, a.n_tiles, a.mpp, a.attempts) == ("done", 7, 0.25, 2)
    assert (b.status, b.reason) == ("failed", "SlideError: why")
    assert (c.status, c.reason) == ("left", "not done yet")
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 4


def test_a_size_that_is_not_known_is_an_empty_cell(tmp_path: Path) -> None:
    known = Outcome(slide_id="a", status="done", width_px0=90, height_px0=60, mpp=0.25)
    slide_table.write_outcomes(tmp_path / "t.csv", [known, Outcome(slide_id="b", status="failed")])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        a, b = csv.DictReader(file)
    assert [a[name] for name in slide_table.UNKNOWN_AS_0] == ["90", "60", "0.25"]
    assert [b[name] for name in slide_table.UNKNOWN_AS_0] == ["", "", ""]
    assert b["n_tiles"] == "0"


def test_a_damaged_column_keeps_its_default_and_the_others_theirs(tmp_path: Path) -> None:
    queue = WorkQueue(tmp_path / "records")
    damaged = {"n_tiles": "many", "reader": [1], "pen": True, "blur": None, "mpp": 1, "fat": 3}
    record(queue, "a", "done", result=damaged)
    [row] = write_table(tmp_path / "t.csv", {"a": "key"}, queue=queue, mark=no_mark)
    assert (row.n_tiles, row.reader, row.pen, row.blur) == (0, "", 0, 0)
    assert (row.mpp, row.fat) == (1, 3)


def test_a_failure_that_is_being_tried_again_is_left(tmp_path: Path) -> None:
    queue = WorkQueue(tmp_path)
    record(queue, "a", "failed", attempts=1, error="SlideError", message="why")
    with queue.claim("a", "key", history=queue.attempts("a")):
        [row] = write_table(tmp_path / "t.csv", {"a": "key"}, queue=queue, mark=no_mark)
        assert row.status == "left"
    [row] = write_table(tmp_path / "t.csv", {"a": "key"}, queue=queue, mark=no_mark)
    assert row.status == "failed"


@pytest.mark.parametrize("others", [0, 1])
def test_a_slide_that_ends_while_the_table_is_written_is_in_it(
    tmp_path: Path, monkeypatch, others
) -> None:
    queue = WorkQueue(tmp_path / "records")
    record(queue, "a", "done")
    real = slide_table.write_rows
    written = []

    def meanwhile(path: Path, names: object, rows: list[list[object]]) -> None:
        if len(written) < others:
            record(queue, "b", "done")
        written.append([row[1] for row in rows])
        real(path, names, rows)

    monkeypatch.setattr(slide_table, "write_rows", meanwhile)
    write_table(tmp_path / "t.csv", {"a": "key", "b": "key"}, queue=queue, mark=no_mark)
    assert written == [["done", "left"], ["done", "done"]][: 1 + others]


def claimed(queue: WorkQueue, key: str, status: str, **facts: object) -> None:
    with queue.claim("a", key, history=queue.attempts("a")) as claim:
        claim.finish(status, **facts)


@pytest.mark.parametrize(
    ("mark", "status", "n_tiles"), [("its", "kept", 7), ("another's", "failed", 0)]
)
def test_a_failure_with_other_options_does_not_hide_the_result_that_stands(
    tmp_path: Path, mark, status, n_tiles
) -> None:
    queue = WorkQueue(tmp_path / "records")
    claimed(queue, "good", "done", digest="its", result={"n_tiles": 7}, attempts=1)
    claimed(queue, "other", "failed", error="StoreError", message="a.h5 was made otherwise")
    [row] = write_table(tmp_path / "t.csv", {"a": "other"}, queue=queue, mark=lambda _: mark)
    assert (row.status, row.n_tiles) == (status, n_tiles)
    assert (row.reason, row.failed) == ("StoreError: a.h5 was made otherwise", True)
    if mark == "its":
        [row] = write_table(tmp_path / "t.csv", {"a": "good"}, queue=queue, mark=lambda _: mark)
        assert (row.reason, row.failed) == ("", False)


def test_a_slide_that_is_given_up_keeps_the_remedy_of_its_error(tmp_path: Path) -> None:
    """Three tries change nothing about what has to be done."""
    queue, missing = WorkQueue(tmp_path / "records"), "no resolution; supply it with mpp=..."
    record(queue, "a", "failed", attempts=3, error="MissingMpp", message=missing)
    later = WorkQueue(tmp_path / "records")
    later.began_s = later.now_s() + 1
    [row] = write_table(tmp_path / "t.csv", {"a": "key"}, queue=later, mark=no_mark)
    assert row.reason == (
        f"MissingMpp: {missing} (tried 3 times; again when that is done, or with "
        "sharing.attempts=4)"
    )


def test_every_column_is_explained() -> None:
    page = (Path(__file__).parents[2] / "docs" / "file-formats.md").read_text(encoding="utf-8")
    section = page.split("## The table of slides")[1].split("## ")[0]
    assert [name for name in COLUMNS if f"`{name}`" not in section] == []
