from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from histofed.errors import OutputUnwritable, ReviewError
from histofed.review.store import VERSION, ReviewStore, Verdict

SOURCE = Path(__file__).parents[2] / "src"


def verdict(**changed) -> Verdict:
    given = {
        "reviewer": "Ada",
        "scope": "case",
        "patient_id": "P",
        "verdict": "agree",
        "arm": "federated",
        "model_digest": "m",
    }
    return Verdict(**(given | changed))


@pytest.fixture
def store(tmp_path) -> ReviewStore:
    return ReviewStore(tmp_path / "reviews.sqlite")


def test_what_goes_in_comes_out(store: ReviewStore) -> None:
    region = [(1.5, 2.0), (3.0, 4.0), (5.0, 0.0)]
    given = verdict(
        scope="region",
        slide_id="s",
        region=region,
        comment="Käse; DROP TABLE verdicts; --",
        view={"zoom": 2.5, "nested": [None, True]},
        blinded=True,
        elapsed_ms=12,
    )
    row = store.add(given)
    assert row == store.rows()[0]
    assert row["region"] == [list(corner) for corner in region]
    assert (row["id"], row["comment"], row["view"]["nested"]) == (1, given.comment, [None, True])
    assert row["blinded"] is True
    assert row["at"].endswith("+00:00")


def test_a_changed_mind_is_a_new_row(store: ReviewStore) -> None:
    store.add(verdict(verdict="agree"))
    store.add(verdict(verdict="disagree"))
    store.add(verdict(patient_id="Q", reviewer="Bob"))
    assert [row["verdict"] for row in store.rows(patient_id="P")] == ["agree", "disagree"]
    assert [row["patient_id"] for row in store.rows(reviewer="Bob")] == ["Q"]
    assert store.of_cases(model_digest="m", since=2) == [(3, "Q", "Bob", "agree")]
    assert store.of_cases(model_digest="of another") == []


@pytest.mark.parametrize("table", ["verdicts", "invitations"])
def test_rows_are_never_changed_nor_removed(store: ReviewStore, table: str) -> None:
    store.add(verdict())
    store.invite("Ada", token_sha256="x", until="2030-01-01")
    with closing(sqlite3.connect(store.path)) as file:
        for statement in (f"UPDATE {table} SET reviewer = 'Eve'", f"DELETE FROM {table}"):
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} are only added to"):
                file.execute(statement)
    assert store.rows()[0]["reviewer"] == "Ada"


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "slide"},
        {"scope": "tile", "slide_id": "s"},
        {"scope": "region", "slide_id": "s"},
        {"scope": "tile", "tile": 3},
        {"tile": 3},
        {"reviewer": ""},
        {"elapsed_ms": -1},
    ],
)
def test_what_contradicts_itself_is_not_stored(store: ReviewStore, wrong: dict) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        store.add(verdict(**wrong))
    assert store.rows() == []


def test_reviewers_at_once_in_threads(store: ReviewStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        rows = list(threads.map(lambda i: store.add(verdict(reviewer=f"r{i % 4}")), range(60)))
    assert sorted(row["id"] for row in rows) == list(range(1, 61))
    assert len(store.rows()) == 60


WRITER = """
import sys
from pathlib import Path
from histofed.review.store import ReviewStore, Verdict
store = ReviewStore(Path(sys.argv[1]))
for number in range(40):
    store.add(Verdict(reviewer=sys.argv[2], scope="case", patient_id=str(number),
                      verdict="agree", arm="a", model_digest="m"))
"""


def test_reviewers_at_once_in_two_processes(tmp_path) -> None:
    path = tmp_path / "reviews.sqlite"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    both = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], env=environment)
        for name in ("Ada", "Bob")
    ]
    assert [each.wait(timeout=120) for each in both] == [0, 0]
    rows = ReviewStore(path).rows()
    for name in ("Ada", "Bob"):
        mine = [row["patient_id"] for row in rows if row["reviewer"] == name]
        assert mine == [str(number) for number in range(40)]


def test_a_full_disk_leaves_nothing_half_written(store: ReviewStore) -> None:
    def fill() -> None:
        for _ in range(200):
            store.add(verdict(comment="long " * 800))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        with pytest.raises(
            OutputUnwritable, match=r"reviews\.sqlite cannot be written.*free space"
        ):
            fill()
        within = len(store.rows())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with closing(sqlite3.connect(store.path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert [row["id"] for row in store.rows()] == list(range(1, within + 1))
    assert within > 5
    assert store.add(verdict())["id"] > within  # space was freed


def test_a_newer_or_strange_file_is_refused(tmp_path) -> None:
    path = tmp_path / "reviews.sqlite"
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(
        ReviewError, match=r"is of version 2, this histofed writes.*update histofed"
    ):
        ReviewStore(path)
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as file:
        file.execute("CREATE TABLE letters (text)")
    with pytest.raises(ReviewError, match="holds other tables"):
        ReviewStore(other)
    torn = tmp_path / "torn.sqlite"
    torn.write_bytes(b"not a database at all" * 100)
    with pytest.raises(ReviewError, match="damaged or no store of verdicts"):
        ReviewStore(torn)


def test_a_file_that_was_taken_away_is_missed_and_not_begun_anew(store: ReviewStore) -> None:
    store.add(verdict())
    away = store.path.with_name("away.sqlite")
    store.path.rename(away)
    for ask in (store.rows, store.reviewers, lambda: store.add(verdict())):
        with pytest.raises(OutputUnwritable, match="cannot be written"):
            ask()
    assert not store.path.exists()
    away.rename(store.path)
    assert len(store.rows()) == 1
    store.path.unlink()
    store.path.touch()
    with pytest.raises(ReviewError, match="damaged or no store of verdicts"):
        store.rows()


def test_a_folder_that_cannot_hold_it_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((OutputUnwritable, NotADirectoryError, FileExistsError)):
        ReviewStore(tmp_path / "file" / "reviews.sqlite")


def test_the_journal_is_the_one_the_disk_takes(store: ReviewStore, monkeypatch) -> None:
    assert store.journal == "wal"

    class NoSharedMemory(sqlite3.Connection):
        """A network drive: WAL is taken, and fails at the first use."""

        def execute(self, statement, *given):
            mode = super().execute("PRAGMA journal_mode").fetchone()[0]
            if statement == "BEGIN IMMEDIATE" and mode == "wal":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error
            return super().execute(statement, *given)

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=NoSharedMemory, **k))
    drive = ReviewStore(store.path.parent / "drive.sqlite")
    assert drive.journal == "delete"
    assert drive.add(verdict())["id"] == 1


def test_the_latest_invitation_counts(store: ReviewStore) -> None:
    for token in ("one", "two"):
        store.invite("Ada", token_sha256=token, until="2030-01-01T00:00:00+00:00")
    assert store.invitations() == [("Ada", "two", "2030-01-01T00:00:00+00:00")]


UNTIL_KILLED = """
import sys
from itertools import count
from pathlib import Path
from histofed.review.store import ReviewStore, Verdict
store = ReviewStore(Path(sys.argv[1]))
for number in count():
    given = Verdict(reviewer="Ada", scope="case", patient_id=str(number), comment="x" * 3000,
                    verdict="agree", arm="a", model_digest="m")
    print(store.add(given)["id"], flush=True)
"""


def test_what_was_said_to_be_stored_outlives_a_killed_server(tmp_path) -> None:
    path = tmp_path / "reviews.sqlite"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    told = 0
    for n_rows in (1, 7, 30):
        with subprocess.Popen(
            [sys.executable, "-c", UNTIL_KILLED, str(path)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout is not None
            for _ in range(n_rows):
                told = int(server.stdout.readline())
            server.kill()  # while it writes the next ones
            told = max([told, *map(int, server.stdout.read().split())])
        store = ReviewStore(path)
        rows = store.rows()
        assert [row["id"] for row in rows] == list(range(1, len(rows) + 1))
        assert len(rows) >= told
        assert {row["comment"] for row in rows} == {"x" * 3000}
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        store.add(verdict(comment="x" * 3000))
