"""The whole of a run, at the server and at a hospital: start NVFlare, follow, end."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from math import inf
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from histofed.errors import FederationError
from histofed.federation.transports.nvflare.alone import alone_in
from histofed.federation.transports.nvflare.connection import Connection, address_of
from histofed.federation.transports.nvflare.diary import Diary
from histofed.federation.transports.nvflare.jobs import START_S, Desk, write_job
from histofed.federation.transports.nvflare.kits import settle_server
from histofed.federation.transports.nvflare.presence import Presence
from histofed.federation.transports.nvflare.probe import why_silent
from histofed.federation.transports.nvflare.processes import running
from histofed.federation.transports.nvflare.signing import check_dates
from histofed.federation.transports.nvflare.waiting import Reminder

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from histofed.federation.transports.nvflare.places import Place

    Say = Callable[[str], None]

LOOK_S = 1.0
KIT_S = 5.0
"""What a command that was just ended may take to leave its kit."""
END_S = 10.0
"""What NVFlare may take to end a job that has said how it ended."""
DONE = ("FINISHED", "FAILED", "ABANDONED")
"""How the words begin by which NVFlare says that a job is no more."""
REGISTERED = b"Successfully registered client"
"""What NVFlare's client writes when the server has taken it in."""
STILL_S = 30.0
ATTEMPTS = 3
"""Jobs in a row that may end without having said why."""


def serve(
    kit: Path,
    place: Place,
    *,
    agreement: str,
    sites: Sequence[str],
    quorum: int,
    gather_s: float,
    say: Say,
) -> dict[str, Any]:
    """Run the server until the run is over or can go on no longer; return its outcome.

    Jobs follow one another: each goes on from what the one before has committed.

    Parameters
    ----------
    gather_s
        Once as many hospitals as the quorum are connected, how much longer to wait for the others.

    Raises
    ------
    FederationError
        NVFlare's server ends or does not answer, or job after job ends without saying why.
    """
    held = _alone_with(kit)
    _warn(kit, say)
    run = Path(place.run)
    diary, presence = Diary(run), Presence(run)
    diary.reopen()
    position = diary.lines.stat().st_size if diary.lines.exists() else 0
    place.write(kit / "local")
    settle_server(kit)
    for leftover in ("jobs", "snapshots", "transfer"):
        shutil.rmtree(kit / leftover, ignore_errors=True)
    write_job(run / "job", agreement)
    with held, running("server", kit) as process, closing(_desk(kit / "admin", process)) as desk:
        follow = _Follow(diary, presence, desk, process, say, position)
        failures = 0
        while failures < ATTEMPTS:
            follow.gather(sites, quorum=quorum, wait_s=gather_s)
            outcome = follow.job(desk.submit(run / "job"))
            diary.reopen()
            if outcome is None:
                failures += 1
                say(
                    f"the job ended without a word ({failures} of {ATTEMPTS}); see {kit}/server.log"
                )
            elif "regroup" in outcome:
                failures = 0
            else:
                return outcome
    msg = f"{ATTEMPTS} jobs in a row ended without a word; {kit / 'server.log'} has NVFlare's own"
    raise FederationError(msg)


def join(kit: Path, place: Place, *, site: str, say: Say, give_up_s: float = 0.0) -> dict[str, Any]:
    """Run a hospital's client until the run is over; return the outcome.

    Parameters
    ----------
    give_up_s
        A server that is away for so long is not waited for; 0: wait for ever.

    Raises
    ------
    ServerAway
        The server was not there for so long.
    FederationError
        NVFlare's client ends, as it does when the server refuses its certificate.
    """
    held = _alone_with(kit)
    _warn(kit, say)
    diary = Diary(Path(place.run))
    diary.reopen()
    position = diary.lines.stat().st_size if diary.lines.exists() else 0
    place.write(kit / "local")
    with held, running("client", kit, site=site) as process:
        registered = _Once(kit, REGISTERED)
        host, port = address_of(kit)
        connection, reminder = Connection(process.pid, port), Reminder(say)
        say(f"{site}: connects to {host}:{port}")
        while True:
            lines, position = diary.since(position)
            lines += [news] if (news := registered.news()) else []
            for line in lines:
                say(line)
                reminder.restart()
            reminder.remind(_still(f"{host}:{port}", connection.away_s(), give_up_s=give_up_s))
            if outcome := diary.closed():
                time.sleep(LOOK_S)  # the last answer is on its way
                return outcome
            if process.poll() is not None:
                msg = (
                    f"NVFlare's client of {site} has ended (code {process.returncode}): "
                    f"{why_silent(kit)}. {kit / 'client.log'} has its words"
                )
                raise FederationError(msg)
            if connection.away_s() > give_up_s > 0:
                raise ServerAway(connection.away_s())
            time.sleep(LOOK_S)


def _warn(kit: Path, say: Say) -> None:
    if warning := check_dates(kit / "startup"):
        say(warning)


def _still(server: str, away_s: float, *, give_up_s: float) -> str:
    """Return what a hospital that has nothing new to tell is about."""
    if not away_s:
        return f"connected to {server}; trains, or waits for the server and the other hospitals"
    left = f"; given up in {give_up_s - away_s:.0f} s (give_up_s)" if give_up_s else ""
    return f"no connection to {server} for {away_s:.0f} s; waits for it{left}"


def _alone_with(kit: Path) -> IO[str]:
    """Hold a kit: a second process would tell the first one's jobs where *its* patients are."""
    return alone_in(kit, wait_s=KIT_S, remedy="wait for it: a kit takes part once")


class ServerAway(FederationError):
    """The server is not there.

    Attributes
    ----------
    seconds
        For how long.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the server has not been there for {seconds:.0f} s")
        self.seconds = seconds


class _Once:
    """Tells when the server has taken a client in, and every half minute why it has not."""

    def __init__(self, kit: Path, mark: bytes) -> None:
        self._kit, self._mark = kit, mark
        self._log = log = kit / "client.log"
        self._start = log.stat().st_size if log.exists() else 0
        self._told_at: float | None = time.monotonic()

    def news(self) -> str:
        """Return what there is to tell, if there is anything."""
        if self._told_at is None:
            return ""
        with self._log.open("rb") as file:
            file.seek(self._start)
            if self._mark in file.read():
                self._told_at = None
                return "the server has taken this hospital in"
        if time.monotonic() - self._told_at < STILL_S:
            return ""
        self._told_at = time.monotonic()
        return f"not taken in yet: {why_silent(self._kit)}"


def _desk(kit: Path, process: subprocess.Popen[bytes]) -> Desk:
    """Return a session with a server that has just been started."""
    until = time.monotonic() + START_S
    while True:
        try:
            return Desk(kit)
        except FederationError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(LOOK_S)


class _Follow:
    """What the one who started the server looks at while it runs."""

    def __init__(
        self,
        diary: Diary,
        presence: Presence,
        desk: Desk,
        process: subprocess.Popen[bytes],
        say: Say,
        position: int,
    ) -> None:
        self._diary, self._presence, self._desk = diary, presence, desk
        self._process, self._say, self._position = process, say, position

    def gather(self, sites: Sequence[str], *, quorum: int, wait_s: float) -> None:
        """Wait for the hospitals: all of them, or some time longer than for the quorum."""
        enough_at: float | None = None
        told: set[str] = set()
        reminder = Reminder(self._say)
        while True:
            self._look()
            there = self._presence.there().keys() & set(sites)
            missing = ", ".join(sorted(set(sites) - there))
            if there != told:
                told = there
                self._say(
                    f"connected: {', '.join(sorted(there)) or 'nobody'}"
                    + (f"; not yet: {missing}" if missing else "")
                )
            enough_at = (enough_at or time.monotonic()) if len(there) >= quorum else None
            left_s = inf if enough_at is None else enough_at + wait_s - time.monotonic()
            if not missing or left_s < 0:
                return
            until = (
                f"begins with {quorum} of them (federation.min_sites), {len(there)} there"
                if enough_at is None
                else f"begins without in {left_s:.0f} s (gather_s)"
            )
            reminder.remind(f"waits for {missing}; {until}")
            time.sleep(LOOK_S)

    def job(self, job_id: str) -> dict[str, Any] | None:
        """Follow a job to its end; return its outcome, None if it left none."""
        said_at: float | None = None
        while not self._desk.status(job_id).startswith(DONE):
            self._look()
            if self._diary.closed() is not None:
                said_at = said_at or time.monotonic()
                # NVFlare waits long for each client's own end; all that matters has been said.
                if time.monotonic() - said_at > END_S:
                    break
            time.sleep(LOOK_S)
        self._look()
        return self._diary.closed()

    def _look(self) -> None:
        lines, self._position = self._diary.since(self._position)
        for line in lines:
            self._say(line)
        if self._process.poll() is not None:
            msg = (
                f"NVFlare's server has ended (code {self._process.returncode}); see its server.log"
            )
            raise FederationError(msg)
        self._presence.write(self._desk.heard_of())
