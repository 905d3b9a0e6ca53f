"""A federation that is killed by SIGKILL at a given moment, and started again: run by its test.

Every run is a forked process of this one, which has imported everything and trained nothing, so a
kill costs milliseconds instead of the seconds of an import. Prints, as JSON, what each killed run
made of its kill, and digest and history of each run that ended.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
import sys
import warnings
from pathlib import Path

spec = importlib.util.spec_from_file_location("toys", Path(__file__).parent / "conftest.py")
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)

import pytorch_lightning as pl  # noqa: E402
import torch  # noqa: E402

from histofed.federation.run_plan import Selection  # noqa: E402
from histofed.federation.state import digest_of, state_of  # noqa: E402
from histofed.federation.strategies.fedavg import FedAvg  # noqa: E402
from histofed.federation.transports.in_process import run_sites  # noqa: E402

SIZES = {"north": 12, "south": 8, "west": 20}
KILLS = [
    ("north", 1, "on_train_batch_end"),  # nobody has answered anything
    ("south", 2, "on_train_batch_end"),  # north has answered, west has not begun
    ("south", 2, "on_train_epoch_end"),  # south has pushed, and not yet waited
    ("server", 2, ""),  # committed, and nobody has pulled the next round
    ("west", 3, "on_train_end"),  # in the final evaluation
]


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Kill(pl.Callback):
    def __init__(self, number: int, hook: str) -> None:
        setattr(self, hook, lambda trainer, *_: trainer.current_epoch + 1 >= number and killed())


def federate(folder: Path, seed: int, site: str = "", number: int = 0, hook: str = "") -> dict:
    def body(name: str, seed_of_site: int):
        def train(exchange) -> None:
            federated = toys.FederatedCallback(
                exchange, site=name, n_patients=SIZES[name], keep_optimizer=True,
                evaluate=toys.evaluator(toys.make_data(8, seed_of_site + 100)),
                memory=folder / name,
            )  # fmt: skip
            kill = [Kill(number, hook)] if name == site else []
            loader = toys.make_loader(toys.make_data(SIZES[name], seed_of_site))
            toys.make_trainer(federated, *kill).fit(toys.make_module(seed_of_site), loader)

        return train

    torch.manual_seed(seed)
    result = run_sites(
        {name: body(name, index) for index, name in enumerate(SIZES)},
        FedAvg(),
        initial_state=state_of(toys.make_module(77)),
        rounds=3,
        selection=Selection("val_loss", "min"),
        run="trial",
        folder=folder / "server",
        on_round=lambda record: site == "server" and record.number == number and killed(),
    )
    return {
        "state": digest_of(result.state),
        "best": [result.best_round, digest_of(result.best_state)],
        "history": [dataclasses.asdict(record) for record in result.history],
    }


def in_a_process(*args) -> dict | str:
    """Return what `federate` returned in a process of its own, or how that ended."""
    answer = Path(sys.argv[1]) / "answer.json"
    child = os.fork()
    if child == 0:
        answer.write_text(json.dumps(federate(*args)))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return json.loads(answer.read_text())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    here = Path(sys.argv[1])
    outcome = {"calm": in_a_process(here / "calm", 1), "killed": [], "resumed": []}
    for index, kill in enumerate(KILLS):
        outcome["killed"].append(in_a_process(here / str(index), 1, *kill))
        # In round 1 a site that draws its own seed is its own matter; later, nothing depends on it.
        outcome["resumed"].append(in_a_process(here / str(index), 1 + 8 * (index > 0)))
    sys.stdout.write(json.dumps(outcome))
