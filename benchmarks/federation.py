"""What a round costs beyond training: time, bytes, and memory with many sites.

Run `python benchmarks/federation.py [--quick] [--json FILE] [--sites FEW MANY]`.

- ``round_overhead``: time of a federated run over that of the same local training without it
  (four sites of 48 patients, 200 tiles of 256 features; gated attention as `histofed train` builds
  it; one epoch a round), in turns in one process, less 1. Processor time, median of the turns;
  ``round_overhead_wall`` by the clock, which other work on the machine disturbs.
- ``bytes_per_model``: what travels between one site and the server in one round, both ways, over
  the bytes of the model's tensors; ``bytes_per_model_fp16`` with updates as float16 differences,
  and ``update_per_model_fp16`` of the update alone.
- ``peak_mb_<n>_sites``: most memory held by a process that trains n simulated sites of 4 patients
  for two rounds, visited one at a time; ``mb_per_1000_sites`` is its slope between the two sizes,
  and ``seconds_per_visit`` the time of one site in one round.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import OmegaConf

from histofed.core.splits import Fold
from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.guard import SitePolicy
from histofed.federation.messages import Round
from histofed.federation.state import state_of
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.transports.in_process import run_sites
from histofed.federation.transports.one_at_a_time import visit_sites
from histofed.federation.wire import encode_round, encode_update
from histofed.mil.bags import Bag
from histofed.mil.data import BagDataModule
from histofed.mil.fitting import Fitting, quiet, seed_with
from histofed.mil.module import MILModule
from histofed.mil.objectives.binary import Binary
from histofed.pipeline import build
from histofed.pipeline.config import config_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.federation.exchange import Exchange


def make_model(dim: int) -> MILModule:
    """Return the model of `histofed train`, with the same weights each time."""
    seed_with(0)
    options = OmegaConf.load(config_dir() / "trainer" / "default.yaml")
    aggregator = OmegaConf.load(config_dir() / "aggregator" / "gated_abmil.yaml")
    return MILModule(
        build.aggregator(aggregator, dim=dim),
        Binary(),
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
    )


def make_data(site: int, *, patients: int, tiles: int, dim: int) -> BagDataModule:
    """Draw the patients of a site; all of them train."""
    generator = torch.Generator().manual_seed(site)
    bags = {}
    for number in range(patients):
        label = number % 2
        features_ND = torch.randn(tiles, dim, generator=generator)
        features_ND[: tiles // 10, :8] += 2.0 * label
        name = f"{site}-{number}"
        bags[name] = Bag(name, str(site), (label,), features_ND.half(), None, {})
    fold = Fold(number=0, train=tuple(bags), select=(), test=())
    return BagDataModule(bags, fold, batch_size=8)


def fit(model: MILModule, data: BagDataModule, epochs: int, *callbacks: Any) -> None:
    """Train one site."""
    fitting = Fitting(max_epochs=epochs, patience=0, accelerator="cpu", precision="32-true")
    folder = Path(tempfile.gettempdir())
    fitting.trainer(list(callbacks), folder=folder, validate=False).fit(model, datamodule=data)


def federated_site(
    name: str, data: BagDataModule, *, dim: int, rounds: int
) -> Callable[[Exchange], None]:
    """Return a site's run."""

    def run(exchange: Exchange) -> None:
        callback = FederatedCallback(exchange, site=name, n_patients=len(data.train))
        fit(make_model(dim), data, rounds, callback)

    return run


def overhead(*, rounds: int, turns: int, dim: int = 256) -> list[dict[str, float]]:
    """Return a row a turn: seconds of local and of federated training of the same data."""
    data = {str(k): make_data(k, patients=48, tiles=200, dim=dim) for k in range(4)}
    sites = {
        name: federated_site(name, here, dim=dim, rounds=rounds) for name, here in data.items()
    }

    def local() -> None:
        for here in data.values():
            fit(make_model(dim), here, rounds)

    def federated() -> None:
        run_sites(sites, FedAvg(), initial_state=make_model(dim).state_dict(), rounds=rounds)

    rows = []
    for turn in range(turns + 1):
        row: dict[str, float] = {"turn": turn}
        for name, run in (("local", local), ("federated", federated)):
            clock, processor = time.perf_counter(), time.process_time()
            run()
            row[f"{name}_s"] = time.process_time() - processor
            row[f"{name}_wall_s"] = time.perf_counter() - clock
        if turn:  # the first warms up
            rows.append(row)
            print(row, flush=True)
    return rows


def sizes(dim: int = 256) -> dict[str, float]:
    """Return bytes over those of the model, of one site and round."""
    model = make_model(dim)
    before = state_of(model)
    with quiet():
        fit(model, make_data(0, patients=16, tiles=50, dim=dim), 1)
    current = Round(number=1, total=1, state=before, run="benchmark")
    update = current.answer("site", state_of(model), n_patients=16, metrics={"train_loss": 0.5})
    whole = sum(value.numel() * value.element_size() for value in before.values())
    down, up = len(encode_round(current)), len(encode_update(update))
    half = len(encode_update(update, base=before))
    return {
        "model_bytes": whole,
        "bytes_per_model": (down + up) / whole,
        "bytes_per_model_fp16": (down + half) / whole,
        "update_per_model_fp16": half / whole,
    }


def simulate(n_sites: int, rounds: int = 2, dim: int = 32) -> tuple[float, float]:
    """Train many sites; return the most memory held, in MB, and the seconds of a visit."""
    torch.set_num_threads(1)

    def site(number: int) -> Callable[[Exchange, Path], None]:
        def run(exchange: Exchange, memory: Path) -> None:
            data = make_data(number, patients=4, tiles=20, dim=dim)
            callback = FederatedCallback(
                exchange,
                site=f"{number:04}",
                n_patients=4,
                memory=memory,
                keep_optimizer=True,
                policy=SitePolicy(min_patients=4),
            )
            fit(make_model(dim), data, rounds, callback)

        return run

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, quiet():
        visit_sites(
            {f"{number:04}": site(number) for number in range(n_sites)},
            FedAvg(),
            folder=Path(folder),
            initial_state=make_model(dim).state_dict(),
            rounds=rounds,
        )
    seconds = (time.perf_counter() - started) / (n_sites * (rounds + 1))
    return peak_mb(), seconds


def peak_mb() -> float:
    """Return the most memory this process has held; ``ru_maxrss`` would count its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def memory(few: int, many: int) -> dict[str, float]:
    """Return the memory of both sizes, each in a process of its own."""
    found: dict[str, float] = {}
    context = multiprocessing.get_context("spawn")
    for n_sites in (few, many):
        with context.Pool(1) as pool:
            peak, seconds = pool.apply(simulate, (n_sites,))
        found[f"peak_mb_{n_sites}_sites"] = peak
        found["seconds_per_visit"] = seconds
        print(f"{n_sites} sites: {peak:.0f} MB, {seconds:.3f} s a visit", flush=True)
    growth = found[f"peak_mb_{many}_sites"] - found[f"peak_mb_{few}_sites"]
    return found | {"mb_per_1000_sites": 1000 * growth / (many - few)}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--sites", nargs=2, type=int, metavar="N", help="of the two simulations")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    quick = arguments.quick
    with quiet():
        rows = overhead(rounds=3 if quick else 10, turns=2 if quick else 5)
        figures = sizes()
    figures |= {
        f"round_overhead{name}": statistics.median(
            row[f"federated{name}_s"] / row[f"local{name}_s"] - 1 for row in rows
        )
        for name in ("", "_wall")
    }
    few, many = arguments.sites or ((10, 40) if quick else (100, 1000))
    figures |= memory(few, many)
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")
    if arguments.json:
        environment = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, 1 thread",
            "torch": torch.__version__,
            "load": os.getloadavg()[0],
        }
        found = {"figures": figures, "rows": rows, "environment": environment}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
