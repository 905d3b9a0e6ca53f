"""What reviewers said: rows of an SQLite file that are added, never changed and never removed.

A changed mind is a new row. The file keeps to this itself: its triggers refuse UPDATE and DELETE,
whoever asks. A connection is opened for each question, so threads and processes may write at once;
SQLite lets one after the other in. A row is there whole or not at all.
"""

from __future__ import annotations

import json
import sqlite3
import weakref
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

from histofed.errors import OutputUnwritable, ReviewError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 1
"""``PRAGMA user_version``; a newer file is refused."""

PATIENCE_S = 10.0
"""How long a writer waits for another."""

_UNWRITABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}

_SCHEMA = """
CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    reviewer TEXT NOT NULL CHECK (reviewer <> ''),
    scope TEXT NOT NULL CHECK (scope IN ('case', 'tile', 'region')),
    patient_id TEXT NOT NULL,
    slide_id TEXT CHECK (scope = 'case' OR slide_id IS NOT NULL),
    tile INTEGER CHECK ((scope = 'tile') = (tile IS NOT NULL)),
    region TEXT CHECK ((scope = 'region') = (region IS NOT NULL)),
    verdict TEXT NOT NULL,
    comment TEXT NOT NULL,
    head TEXT,
    score REAL,
    rank INTEGER,
    percentile REAL,
    view TEXT NOT NULL,
    blinded INTEGER NOT NULL CHECK (blinded IN (0, 1)),
    elapsed_ms INTEGER NOT NULL CHECK (elapsed_ms >= 0),
    arm TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    scores_digest TEXT
) STRICT;
CREATE INDEX verdicts_of_patient ON verdicts (patient_id, id);
CREATE TABLE invitations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    reviewer TEXT NOT NULL CHECK (reviewer <> ''),
    token_sha256 TEXT NOT NULL UNIQUE,
    until TEXT NOT NULL
) STRICT;
"""

_FROZEN = """
CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} are only added to'); END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judgement of a reviewer.

    Attributes
    ----------
    scope
        case, tile or region.
    tile
        Row of the tile in the scores of its slide.
    region
        Corners of a polygon, level-0 pixels.
    head, score, rank, percentile
        Of a tile: the heat map it was judged under, its raw score, its place from the top
        (1 is the highest) and the part of the slide's tiles that score lower.
    view
        How the page looked: magnification, colours, threshold; the page decides.
    blinded
        Whether scores were hidden.
    arm, model_digest, scores_digest
        What was judged.
    """

    reviewer: str
    scope: str
    patient_id: str
    verdict: str
    arm: str
    model_digest: str
    slide_id: str | None = None
    tile: int | None = None
    region: list[tuple[float, float]] | None = None
    comment: str = ""
    head: str | None = None
    score: float | None = None
    rank: int | None = None
    percentile: float | None = None
    view: dict[str, Any] | None = None
    blinded: bool = False
    elapsed_ms: int = 0
    scores_digest: str | None = None


COLUMNS = ("id", "at", *(each.name for each in fields(Verdict)))
"""Of a stored verdict, in the order of exports."""


class ReviewStore:
    """The verdicts and invitations of a run.

    Raises
    ------
    OutputUnwritable
        The file cannot be made.
    ReviewError
        It is no store of verdicts, or one of a newer histofed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mode = "rwc"
        with self._naming():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.journal = self._set_journal()
            with self._open() as file:
                self._prepare(file)
            # SQLite's shared memory is a file too, made by who comes first and removed by who goes
            # last: this connection keeps it, so that a full disk does not stop people reading.
            keeper = self._connect(check_same_thread=False)
            keeper.execute("SELECT max(id) FROM verdicts").fetchone()
            weakref.finalize(self, keeper.close)
            self._mode = "rw"

    def add(self, verdict: Verdict) -> dict[str, Any]:
        """Store a verdict; return the row.

        Raises
        ------
        OutputUnwritable
            The disk is full or broken; nothing was written.
        """
        cells = {"at": _now()} | asdict(verdict)
        row = cells | {
            "region": None if verdict.region is None else json.dumps(verdict.region),
            "view": json.dumps(verdict.view or {}, allow_nan=False),
            "blinded": int(verdict.blinded),
        }
        number = self._insert("verdicts", row)
        return self.rows(since=number - 1, until=number)[0]

    def rows(
        self,
        *,
        patient_id: str | None = None,
        slide_id: str | None = None,
        reviewer: str | None = None,
        since: int = 0,
        until: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return verdicts in the order in which they were given, the oldest first.

        Parameters
        ----------
        since, until
            Only ids above ``since``, and up to and including ``until``.
        """
        asked = {"patient_id": patient_id, "slide_id": slide_id, "reviewer": reviewer}
        given = {name: value for name, value in asked.items() if value is not None}
        where = ["id > :since", *(f"{name} = :{name}" for name in given)]
        if until is not None:
            where.append("id <= :until")
        question = f"SELECT {', '.join(COLUMNS)} FROM verdicts WHERE {' AND '.join(where)} "
        with self._naming(), self._open() as file:
            found = file.execute(question + "ORDER BY id", given | {"since": since, "until": until})
            return [_row(dict(zip(COLUMNS, cells, strict=True))) for cells in found]

    def of_cases(self, *, model_digest: str, since: int = 0) -> list[tuple[int, str, str, str]]:
        """Return ``(id, patient, reviewer, verdict)`` of cases of a model, the oldest first."""
        question = (
            "SELECT id, patient_id, reviewer, verdict FROM verdicts "
            "WHERE scope = 'case' AND model_digest = ? AND id > ? ORDER BY id"
        )
        with self._naming(), self._open() as file:
            return file.execute(question, (model_digest, since)).fetchall()

    def reviewers(self) -> list[str]:
        """Return who has given a verdict, by name."""
        with self._naming(), self._open() as file:
            found = file.execute("SELECT DISTINCT reviewer FROM verdicts ORDER BY reviewer")
            return [name for (name,) in found]

    def invite(self, reviewer: str, *, token_sha256: str, until: str) -> None:
        """Store an invitation: who, the hash of the token, and until when (UTC, ISO)."""
        row = {"at": _now(), "reviewer": reviewer, "token_sha256": token_sha256, "until": until}
        self._insert("invitations", row)

    def invitations(self) -> list[tuple[str, str, str]]:
        """Return ``(reviewer, token_sha256, until)`` of each reviewer's latest invitation."""
        question = (
            "SELECT reviewer, token_sha256, until FROM invitations "
            "WHERE id IN (SELECT max(id) FROM invitations GROUP BY reviewer)"
        )
        with self._naming(), self._open() as file:
            return file.execute(question).fetchall()

    def _insert(self, table: str, row: dict[str, Any]) -> int:
        names = ", ".join(row)
        holes = ", ".join(f":{name}" for name in row)
        with self._naming(), self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            number = file.execute(f"INSERT INTO {table} ({names}) VALUES ({holes})", row).lastrowid
            file.execute("COMMIT")
        assert number is not None
        return number

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection

    def _connect(self, **options: Any) -> sqlite3.Connection:
        # A file that was taken away is missed, not begun anew beside it. No implicit transactions:
        # each is begun where it is meant.
        return sqlite3.connect(
            f"{self.path.resolve().as_uri()}?mode={self._mode}",
            uri=True,
            timeout=PATIENCE_S,
            isolation_level=None,
            **options,
        )

    def _set_journal(self) -> str:
        """Choose a journal: WAL, in which readers never wait, needs memory that network drives
        cannot share; there it is the old one.
        """  # noqa: D205
        with self._open() as file:
            try:
                file.execute("PRAGMA journal_mode = WAL")
                file.execute("BEGIN IMMEDIATE")
                file.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                    raise
                file.execute("PRAGMA journal_mode = DELETE")
            return str(file.execute("PRAGMA journal_mode").fetchone()[0])

    def _prepare(self, file: sqlite3.Connection) -> None:
        file.execute("BEGIN IMMEDIATE")
        found = file.execute("PRAGMA user_version").fetchone()[0]
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
        if found > VERSION or (found == 0 and tables) or (found and "verdicts" not in tables):
            what = f"is of version {found}" if found > VERSION else "holds other tables"
            msg = f"{self.path} {what}, this histofed writes verdicts of version {VERSION}; "
            msg += "update histofed, or name another file with reviews=PATH"
            raise ReviewError(msg)
        if found == 0:
            for statement in _SCHEMA.split(";\n"):  # `executescript` would commit before it
                file.execute(statement)
            for table, verb in product(("verdicts", "invitations"), ("UPDATE", "DELETE")):
                file.execute(_FROZEN.format(table=table, verb=verb))
            file.execute(f"PRAGMA user_version = {VERSION}")
        file.execute("COMMIT")

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Name the file, and what helps."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                msg = f"{self.path} is held by another writer for over {PATIENCE_S:g} s; try again"
                raise ReviewError(msg) from error
            if error.sqlite_errorcode & 0xFF in _UNWRITABLE | {sqlite3.SQLITE_CANTOPEN}:
                msg = f"{self.path} cannot be written ({error}); free space there and check who "
                msg += "may write, or name another file with reviews=PATH"
                raise OutputUnwritable(msg) from error
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # such as: no such table
                raise self._damaged(error) from error
            raise
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError):
                raise
            raise self._damaged(error) from error

    def _damaged(self, error: sqlite3.DatabaseError) -> ReviewError:
        msg = f"{self.path} is damaged or no store of verdicts ({error}); restore it from a "
        return ReviewError(msg + "backup, or name another file with reviews=PATH")


def _row(cells: dict[str, Any]) -> dict[str, Any]:
    region = cells["region"]
    return cells | {
        "region": None if region is None else json.loads(region),
        "view": json.loads(cells["view"]),
        "blinded": bool(cells["blinded"]),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
