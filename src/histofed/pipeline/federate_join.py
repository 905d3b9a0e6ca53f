"""``histofed federate join``: a hospital's part in a federation."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.errors import ConfigError, FederationError
from histofed.pipeline import terminal
from histofed.pipeline.extras import needs_nvflare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from histofed.pipeline.network_hospital import Hospital
    from histofed.pipeline.schema import FederateJoinConfig

PATHS = ("kit", "cohort", "features", "work", "run", "splits_file")
WORK_LEFT = 3


def run(config: FederateJoinConfig) -> int:
    """Take part until the run is over; return the exit code."""
    with _owner_only():
        return _join(config)


@contextmanager
def _owner_only() -> Iterator[None]:
    """Let nobody else read what is written here, nor by the processes that are started."""
    former = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(former)


def _join(config: FederateJoinConfig) -> int:
    needs_nvflare()
    options = asdict(config)
    # Other processes read these, from other folders.
    options |= {name: str(Path(options[name]).resolve()) for name in PATHS if options[name]}
    site = site_of(Path(options["kit"]))
    options["site"] = site
    terminal.say(f"{site}: reads the plan and its patients; the first seconds go to loading")
    from histofed.pipeline.network_hospital import Hospital

    hospital = Hospital(options)
    if earlier := hospital.begin():
        terminal.say(earlier)
    terminal.say(f"{site}: agreement {hospital.agreement[:16]}, {len(hospital.plan.parts)} folds")
    if _is_over(Path(options["run"])):  # started again, as a cluster does with a job
        terminal.say(f"{site}: the run is over, the server is not asked again")
    elif (away_s := _take_part(options, give_up_s=config.give_up_s)) is not None:
        return _give_up(options, away_s)
    _finish(hospital)
    return 0


def _is_over(run: Path) -> bool:
    from histofed.federation.transports.nvflare.diary import Diary

    return bool((Diary(run).closed() or {}).get("over"))


def _take_part(options: dict[str, Any], *, give_up_s: float) -> float | None:
    """Take part; return how long the server was away if that was too long."""
    from histofed.federation.transports.nvflare.places import Place
    from histofed.federation.transports.nvflare.running import ServerAway, join

    place = Place(
        opens="histofed.pipeline.network_hospital:open_hospital",
        options=options,
        run=options["run"],
    )
    try:
        outcome = join(
            Path(options["kit"]), place, site=options["site"], say=terminal.say, give_up_s=give_up_s
        )
    except ServerAway as away:
        return away.seconds
    if why := outcome.get("refused"):
        msg = f"{options['site']} takes no part: {why}; mend that, then start the same command"
        raise FederationError(msg)
    return None


def _give_up(options: dict[str, Any], away_s: float) -> int:
    terminal.closing(
        "Given up; what was committed is kept",
        {
            "server": f"not there for {away_s / 3600:.1f} h (give_up_s)",
            "ask": "the coordinator, whether the run goes on",
            "log": f"{options['kit']}/client.log",
        },
        next_command=terminal.same_options("federate join"),
    )
    return WORK_LEFT


def _finish(hospital: Hospital) -> None:
    from histofed.pipeline import evaluate

    hospital.finish()
    study = hospital.study
    evaluate.show(evaluate.evaluate(study.run), study.run, following=study.following)


def site_of(kit: Path) -> str:
    """Return the name of the hospital that a kit is for.

    Raises
    ------
    ConfigError
        It is not the kit of a hospital.
    """
    file = kit / "startup" / "fed_client.json"
    try:
        name: str = json.loads(file.read_text(encoding="utf-8"))["client"]["fqsn"]
    except (OSError, ValueError, KeyError) as error:
        why = "has no" if isinstance(error, FileNotFoundError) else "has a damaged"
        msg = f"kit={kit}: {why} {file.relative_to(kit)}, so it is not the kit of a hospital; name "
        msg += "the folder that the coordinator sent"
        raise ConfigError(msg) from error
    return name
