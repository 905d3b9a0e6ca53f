"""``histofed federate serve``: the server of a federation of real hospitals."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.io.runs import read_json
from histofed.pipeline import terminal
from histofed.pipeline.extras import needs_nvflare

if TYPE_CHECKING:
    from histofed.pipeline.network_server import Coordinator
    from histofed.pipeline.schema import FederateServeConfig

WORK_LEFT = 3


def run(config: FederateServeConfig) -> int:
    """Serve until the run is over; return the exit code."""
    needs_nvflare()
    terminal.say("server: starts; the first seconds go to loading")
    from histofed.federation.transports.nvflare.connection import address_of
    from histofed.federation.transports.nvflare.places import Place
    from histofed.federation.transports.nvflare.running import serve
    from histofed.pipeline import over_hospitals
    from histofed.pipeline.network_server import Coordinator

    # Other processes read these, from other folders.
    config.kit, config.run = (str(Path(each).resolve()) for each in (config.kit, config.run))
    work = Coordinator(asdict(config))
    place = Place(
        opens="histofed.pipeline.network_server:open_coordinator",
        options=asdict(config),
        run=config.run,
    )
    host, port = address_of(Path(config.kit), "fed_server.json")
    terminal.say(f"server: hospitals reach it as {host}:{port}; {', '.join(work.sites)} take part")
    outcome = serve(
        Path(config.kit),
        place,
        agreement=work.agreement,
        sites=work.sites,
        quorum=work.quorum,
        gather_s=config.gather_s,
        say=terminal.say,
    )
    if "error" not in outcome and work.folder.metrics.is_file():
        over_hospitals.show(work.task, read_json(work.folder.metrics))
    facts = _facts_of(work)
    if "error" in outcome:
        again = f"histofed federate serve kit={config.kit} run={config.run}"
        facts = {"stopped": str(outcome["error"]), **facts}
        terminal.closing(
            "Federation stopped; what was committed is kept", facts, next_command=again
        )
        return WORK_LEFT
    numbers = str(work.folder.metrics)
    terminal.closing("Federation", {**facts, "numbers": numbers}, next_command=f"open {numbers}")
    return 0


def _facts_of(work: Coordinator) -> dict[str, str]:
    sums = (f"{part}: {', '.join(sites)}" for part, sites in work.sums_from().items())
    return {
        "hospitals": ", ".join(work.sites),
        "folds": str(len(work.parts)),
        "sums of": "; ".join(sums) or "no fold yet",
        "models": str(work.folder.path / "federated"),
        "log": str(work.folder.path / "diary.log"),
    }
