"""Toy hospitals over the network: what tests start as processes, and what NVFlare opens in its own.

``python toy_work.py serve KIT RUN`` and ``python toy_work.py join KIT RUN SITE``; further words are
options, ``name=value``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import conftest as toy
import torch

from histofed.federation.agreement import Facts, check_agreement
from histofed.federation.run_plan import RunPlan, Selection
from histofed.federation.server import Server
from histofed.federation.state import state_of
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.transports.nvflare.places import Patience, Place
from histofed.federation.transports.nvflare.running import join, serve

SIZES = {"north": 12, "south": 8, "west-2": 20}
ROUNDS = 4
AGREEMENT = "a" * 64
PARTS = ("fold-0",)


class ToySite:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.agreement = options.get("agreement", AGREEMENT)
        self.site = options["site"]
        self.run = Path(options["run"])
        self.update_dtype = options.get("update_dtype", "float32")

    def facts(self) -> dict[str, Any]:
        return {"dim": int(self.options.get("dim", 3))}

    def sums(self, part: str) -> dict[str, torch.Tensor]:
        return {"n": torch.tensor([SIZES[self.site]])}

    def train(self, part: str, exchange) -> None:
        if "crash" in self.options:
            os._exit(1)
        pause_s = float(self.options.get("pause_s", 0))
        wrong = {"run": "other/fold-0"} if "wrong_run" in self.options else {}

        def before() -> None:
            toy.torch.manual_seed(5)

        slow = Tampered(exchange, pause_s, wrong)
        seed = list(SIZES).index(self.site)
        body = toy.make_site(
            self.site, n=SIZES[self.site], seed=seed, epochs=-1, before=before,
            keep_optimizer=True, memory=self.run / "memory" / part,
        )  # fmt: skip
        body(slow)

    def keep(self, part: str, state) -> None:
        torch.save(state, self.run / f"{part}.pt")

    def evaluate(self, question: dict[str, Any]) -> dict[str, Any]:
        return {"asked": question, "n": SIZES[self.site]}


class Tampered:
    """Takes its time over an answer, or spoils it."""

    def __init__(self, exchange, pause_s: float, wrong: dict[str, Any]) -> None:
        self.exchange, self.pause_s, self.wrong = exchange, pause_s, wrong
        self.pull = exchange.pull

    def push(self, update) -> None:
        time.sleep(self.pause_s)
        self.exchange.push(dataclasses.replace(update, **self.wrong))


class ToyServer:
    agreement, parts, sites, run = AGREEMENT, PARTS, tuple(SIZES), "toy"

    def __init__(self, options: dict[str, Any]) -> None:
        self.folder = Path(options["run"])
        self.quorum = int(options.get("quorum", 2))
        self.patience = Patience(
            deadline_s=float(options.get("deadline_s", 60)),
            grace_s=float(options.get("grace_s", 20)),
        )

    def check(self, facts: dict[str, dict[str, Any]]) -> None:
        check_agreement({site: Facts.of(each) for site, each in facts.items()})

    def faults_in(self, sums) -> dict[str, str]:
        return {site: "no number" for site, each in sums.items() if "n" not in each}

    def resume(self, part: str) -> Server | None:
        folder = self.folder / "journal" / part
        if not folder.exists():
            return None
        return Server.resume(FedAvg(), self._plan(part), folder=folder)

    def start(self, part: str, sums) -> Server:
        assert sum(int(each["n"]) for each in sums.values()) == sum(SIZES[site] for site in sums)
        folder = self.folder / "journal" / part
        start = state_of(toy.make_module())
        return Server(FedAvg(), self._plan(part), initial_state=start, folder=folder)

    def _plan(self, part: str) -> RunPlan:
        return RunPlan(
            sites=self.sites,
            rounds=ROUNDS,
            run=f"{self.run}/{part}",
            quorum=self.quorum,
            selection=Selection("val_loss", "min"),
        )

    def close(self, part: str, result) -> None:
        torch.save(result.state, self.folder / f"{part}.pt")

    def evaluate(self, put) -> None:
        answers, silent = put({"of": "size"})
        with (self.folder / "metrics.json").open("w") as file:
            json.dump({"answers": answers, "silent": silent}, file)


def open_site(options: dict[str, Any]) -> ToySite:
    return ToySite(options)


def open_server(options: dict[str, Any]) -> ToyServer:
    return ToyServer(options)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    what, kit, run, *rest = sys.argv[1:]
    words = dict(word.split("=") for word in rest)
    options = {**words, "run": run}
    place = Place(
        opens=f"toy_work:open_{'server' if what == 'serve' else 'site'}", options=options, run=run
    )
    if what == "serve":
        outcome = serve(
            Path(kit),
            place,
            agreement=AGREEMENT,
            sites=tuple(SIZES),
            quorum=int(words.get("quorum", 2)),
            gather_s=20,
            say=say,
        )
    else:
        away = float(words.get("give_up_s", 0))
        outcome = join(Path(kit), place, site=words["site"], say=say, give_up_s=away)
    say(f"outcome: {outcome}")
    sys.exit("error" in outcome)
