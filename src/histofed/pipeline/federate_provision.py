"""``histofed federate provision``: keys and plan for the server and each hospital."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histofed.pipeline import terminal
from histofed.pipeline.extras import needs_nvflare

if TYPE_CHECKING:
    from histofed.pipeline.schema import FederateProvisionConfig


def run(config: FederateProvisionConfig) -> int:
    """Write the kits; return the exit code."""
    needs_nvflare()
    terminal.say(f"provision: makes keys and a plan in {config.out}")
    from histofed.federation.transports.nvflare.kits import Network, make_kits
    from histofed.federation.transports.nvflare.signing import valid_until
    from histofed.pipeline.asking import task_of
    from histofed.pipeline.fitness import check_fitness
    from histofed.pipeline.local_training import check_federation, check_restarts
    from histofed.pipeline.plan import Plan

    check_fitness(config, task_of(config.task))
    check_federation(config)
    check_restarts(config.federation)
    plan = Plan.of(config)
    network = Network(host=config.host, port=config.port, sites=config.hospitals)
    folders = make_kits(network, Path(config.out))
    for name in ("server", *network.sites):
        plan.write(folders[name])
    end = valid_until(folders["server"] / "startup")
    terminal.closing(
        "Kits",
        {
            "server": f"{folders['server']} stays here",
            **{
                site: f"send {folders[site]} to {site}, and to nobody else"
                for site in network.sites
            },
            "authority": f"{folders['authority']} signs new kits; keep it off the network",
            "valid until": f"{end:%Y-%m-%d}; new kits by then",
            "plan": f"task {config.task.name}, encoder {config.encoder['name']}, "
            f"{config.federation.rounds} rounds; hospitals are held to it",
            "agreement": f"{plan.agreement[:16]} (plan.yaml, for each hospital to read)",
        },
        next_command=f"histofed federate serve kit={folders['server']} run=runs/federation",
    )
    return 0
