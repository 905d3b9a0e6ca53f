"""``histofed download``: files of the GDC data portal, by a manifest or by project."""

from __future__ import annotations

import re
import shlex
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from histofed.core.words import counted, sized
from histofed.errors import ConfigError, OutputUnwritable
from histofed.io.gdc import (
    TABLE,
    Patience,
    Portal,
    State,
    begun_bytes,
    find_slides,
    look,
    read_manifest,
    read_table,
    read_token,
)
from histofed.io.queue import RECORDS, WorkQueue
from histofed.io.readers import SLIDE_SUFFIXES
from histofed.pipeline import terminal
from histofed.pipeline.downloading import MOST_SILENT, Downloading
from histofed.pipeline.interrupts import Interrupts
from histofed.pipeline.slides import WORK_LEFT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from histofed.io.gdc import GdcFile, Row
    from histofed.pipeline.schema_data import DownloadConfig

NAMED = 20
"""Files that are named on the terminal; the table has all."""


def run(config: DownloadConfig) -> int:
    """Download; return the exit code."""
    began_s = time.monotonic()
    token = "" if config.token is None else read_token(Path(config.token))
    portal = Portal(config.portal, token=token, timeout_s=config.timeout_s)
    stop = threading.Event()
    files = _files(config, portal, stop)
    if config.dry_run:
        _show(files, config)
        return 0
    with Interrupts(), _alone_in(Path(config.out)):
        _say_what_comes(files, config)
        downloading = Downloading(config, files, portal=portal, stop=stop)
        downloading.run()
    return _close(list(downloading.rows.values()), config, seconds=time.monotonic() - began_s)


def _files(config: DownloadConfig, portal: Portal, stop: threading.Event) -> list[GdcFile]:
    """Return the files that the options name."""
    if (config.manifest is None) == (config.project is None):
        msg = "name the files with either manifest=FILE or project=NAME, as project=TCGA-MESO"
        raise ConfigError(msg)
    if config.manifest is not None:
        return read_manifest(Path(config.manifest))
    named = config.project if isinstance(config.project, list) else [config.project]
    projects = [str(project) for project in named or [""]]
    for project in projects:
        if not re.fullmatch(r"[\w.-]+", project, re.ASCII):
            msg = f"project={project}: it must be the name of a project, as TCGA-MESO, or several "
            msg += "in brackets, as [TCGA-LUAD,TCGA-LUSC]"
            raise ConfigError(msg)
    patience = Patience(attempts=config.attempts)
    slide_type = config.slide_type
    files = find_slides(portal, projects, slide_type=slide_type, patience=patience, stop=stop)
    if not files:
        msg = f"{config.portal} has no slides of {', '.join(projects)} with "
        msg += f"slide_type={slide_type}; look up how the project is written, or try another type"
        raise ConfigError(msg)
    return files


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder; whoever holds it says so there, and is given up when dead."""
    queue = WorkQueue(folder / RECORDS)
    history = queue.attempts("download")
    claim = None
    if not queue.is_held(history):
        claim = queue.claim("download", "", history=history)
    if claim is None:
        owner = queue.attempts("download")[-1].owner
        msg = f"{folder}: another download works there ({owner}); wait for its end, or name "
        msg += "another folder (out=...)"
        raise OutputUnwritable(msg)
    with claim:
        yield
        claim.finish("done")


def _show(files: Sequence[GdcFile], config: DownloadConfig) -> None:
    """Show what would be done."""
    states = _states(files, config)
    coming = [file for file in files if states[file.id] is not State.KEPT]
    if coming:
        shown = [(file.name, sized(file.size), states[file.id].value) for file in coming[:NAMED]]
        terminal.table("Files", ("name", "size", "here"), shown)
    if len(coming) > NAMED:
        terminal.say(f"and {counted(len(coming) - NAMED, 'other file')}")
    _say_what_comes(files, config)
    facts = {
        state.value: _files_and_bytes(file for file in files if states[file.id] is state)
        for state in State
        if state in states.values()
    }
    facts |= {"all": _files_and_bytes(files), "output": config.out}
    command = terminal.same_options("download", without=("dry_run",))
    terminal.closing("download: nothing is done yet", facts, next_command=command)


def _say_what_comes(files: Sequence[GdcFile], config: DownloadConfig) -> None:
    """Say how many bytes are missing, and if the disk has no room for them."""
    states, out = _states(files, config), Path(config.out)
    missing = [file for file in files if states[file.id] in (State.BEGUN, State.MISSING)]
    n_bytes = sum(max(0, file.size - (begun_bytes(file, out) or 0)) for file in missing)
    terminal.say(f"{counted(len(missing), 'file')} to come, {sized(n_bytes)}")
    folder = next(each for each in (out.absolute(), *out.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        terminal.say(f"Only {sized(free)} are free in {folder}: it will be full before the end.")


def _states(files: Sequence[GdcFile], config: DownloadConfig) -> dict[str, State]:
    out = Path(config.out)
    table = read_table(out / TABLE)
    return {file.id: look(file, out, table, verify=config.verify) for file in files}


def _close(rows: Sequence[Row], config: DownloadConfig, *, seconds: float) -> int:
    """Show failures and the closing panel; return the exit code."""
    out, table = Path(config.out), Path(config.out) / TABLE
    failed = [row for row in rows if row.status == "failed"]
    for row in failed[:NAMED]:
        terminal.console.print(f"[red]failed[/] {escape(row.filename)}: {escape(row.reason)}")
    notes = {
        "done": f" in {seconds:.0f} s",
        "kept": ", there already",
        "failed": f"; reasons in {table}",
        "left": f", not asked for: {MOST_SILENT} in a row had no answer",
    }
    statuses = {row.status for row in rows}
    facts = {
        status: _files_and_bytes(row for row in rows if row.status == status) + note
        for status, note in notes.items()
        if status in statuses
    }
    bad = bool(statuses & {"failed", "left"})
    following = terminal.same_options("download", without=()) if bad else _following(rows, out)
    facts |= {"output": str(out), "table": str(table)}
    terminal.closing("download", facts, next_command=following)
    return WORK_LEFT if bad else 0


def _following(rows: Sequence[Row], out: Path) -> str:
    """Return the command that goes on from slides, if there are any."""
    slides = any(Path(row.filename).suffix.lower() in SLIDE_SUFFIXES for row in rows)
    return shlex.join(["histofed", "tile", f"slides={out}"]) if slides else ""


def _files_and_bytes(files: Iterable[GdcFile | Row]) -> str:
    sizes = [file.size for file in files]
    return f"{counted(len(sizes), 'file')}, {sized(sum(sizes))}"
