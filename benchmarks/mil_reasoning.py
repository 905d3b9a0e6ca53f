"""Whether aggregators reason as multiple-instance learning says: three algorithmic unit tests.

Run `python benchmarks/mil_reasoning.py [--quick] [--json FILE] [--aggregators NAME ...]`.

The tests of Raff and Holt (2023, NeurIPS, arXiv:2310.17867): bags of 16 features whose training set
offers a shortcut that breaks the standard multiple-instance assumption (a bag is positive for what
it shows, never negative for it), and whose test set punishes the shortcut.

single_concept
    Positive bags hold 1-3 positive tiles. In training every negative bag holds a poison tile; in
    the test the positive bags do. Who reads poison as "negative" ranks the test upside down.
multi_concept
    Positive bags hold two concepts, negative bags one of them. Poison as above, and in a tenth of
    the positive training bags.
false_frequency
    Positive bags hold one tile of each of two concepts, negative bags one of either; in the test
    35-39 of it. Who counts tiles calls those positive.

Every aggregator of ``configs/aggregator`` is trained alike. Layer norm of the tiles is off: here a
concept is one number in all of its features, which that norm takes away; the papers have none.
``<test>_alike`` is the AUROC on new bags made as the training bags: a low one says that the task
was not learnt, a high one beside a low test that the shortcut was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf

from histofed.core.metrics import auroc
from histofed.mil.bags import Bag, collate
from histofed.mil.module import MILModule
from histofed.mil.objectives.binary import Binary
from histofed.pipeline import build
from histofed.pipeline.config import config_dir, groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from histofed.mil.bags import BagBatch

DIM = 16
PASSES = 0.9
"""Test AUROC from which a test counts as passed."""

BATCH = 64
LEARNING_RATE = 3e-3
TEST_BAGS = 1000

Rng = np.random.Generator


def tiles(rng: Rng, mean: float, deviation: float, most: int, least: int = 1) -> NDArray[Any]:
    """Return ``least`` to ``most`` tiles of one concept."""
    return rng.normal(mean, deviation, (rng.integers(least, most, endpoint=True), DIM))


def poison(rng: Rng) -> NDArray[Any]:
    return tiles(rng, -10, 0.1, 1)


def single_concept(rng: Rng, *, positive: bool, test: bool) -> list[NDArray[Any]]:
    bag = [tiles(rng, 0, 1, 4 if positive else 9)]
    if positive:
        kinds = rng.integers(0, 2, rng.integers(1, 3, endpoint=True))
        bag += [tiles(rng, 1, 1, 1) if kind else tiles(rng, 0, 3, 1) for kind in kinds]
    return [*bag, poison(rng)] if positive == test else bag


def multi_concept(rng: Rng, *, positive: bool, test: bool) -> list[NDArray[Any]]:
    bag = [tiles(rng, 0, 1, 4)]
    if positive:
        bag += [tiles(rng, 2, 0.1, 4), tiles(rng, 3, 0.1, 4)]
    else:
        bag += [tiles(rng, rng.choice([2, 3]), 0.1, 1)]
    poisoned = positive == test or (positive and rng.random() < 0.1)
    return [*bag, poison(rng)] if poisoned else bag


def false_frequency(rng: Rng, *, positive: bool, test: bool) -> list[NDArray[Any]]:
    bag = [tiles(rng, 0, 1, 9)]
    if positive:
        return [*bag, tiles(rng, -2, 0.1, 1), tiles(rng, 2, 0.1, 1)]
    least, most = (35, 39) if test else (1, 1)
    return [*bag, tiles(rng, rng.choice([-2, 2]), 0.1, most, least)]


TESTS: dict[str, Callable[..., list[NDArray[Any]]]] = {
    "single_concept": single_concept,
    "multi_concept": multi_concept,
    "false_frequency": false_frequency,
}


def make_bags(recipe: Callable[..., list[NDArray[Any]]], n: int, *, seed: int, test: bool) -> Any:
    """Return one batch of n bags, half of them positive."""
    rng = np.random.default_rng((seed, test))
    bags = []
    for number in range(n):
        made = recipe(rng, positive=number % 2 == 1, test=test)
        features = torch.from_numpy(np.concatenate(made)).float()
        label = (float(number % 2),)
        bags.append(Bag(str(number), "", label, features, coords_N2=None, tiles_of={}))
    return collate(bags)


def part(batch: BagBatch, rows: torch.Tensor) -> BagBatch:
    """Return some bags of a batch, without the padding that only others need."""
    valid_BN = batch.valid_BN[rows]
    longest = int(valid_BN.sum(dim=1).max())
    return type(batch)(
        features_BND=batch.features_BND[rows, :longest],
        coords_BN2=None,
        valid_BN=valid_BN[:, :longest],
        target_BK=batch.target_BK[rows],
        ids=tuple(batch.ids[row] for row in rows.tolist()),
    )


def fit(name: str, train: BagBatch, *, epochs: int, seed: int) -> MILModule:
    """Train an aggregator with its own options on one batch of bags."""
    torch.manual_seed(seed)
    config = OmegaConf.load(config_dir() / "aggregator" / f"{name}.yaml")
    config["tile_norm"] = False
    if "n_landmarks" in config:
        config["n_landmarks"] = 16  # bags here hold a dozen tiles
    aggregator = build.aggregator(config, dim=DIM)
    seen = train.features_BND[train.valid_BN]
    aggregator.standardise_with(seen.mean(dim=0), seen.std(dim=0))
    module = MILModule(aggregator, Binary(), learning_rate=LEARNING_RATE, weight_decay=1e-4).train()
    optimizer = module.configure_optimizers()
    for _ in range(epochs):
        for rows in torch.randperm(len(train.ids)).split(BATCH):
            _, loss = module.losses(part(train, rows))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return module.eval()


@torch.inference_mode()
def area(module: MILModule, bags: BagBatch) -> float:
    rows = torch.arange(len(bags.ids)).split(250)
    logits = torch.cat([module(part(bags, some)).logits_BC[:, 0] for some in rows])
    return float(auroc(bags.target_BK[:, 0].int().numpy(), logits.double().numpy()))


def measure(job: tuple[str, str, int, int, int]) -> tuple[float, float]:
    """Return the AUROC on bags as in training, and on the test's."""
    torch.set_num_threads(1)
    name, test, n_bags, epochs, seed = job
    recipe = TESTS[test]
    module = fit(name, make_bags(recipe, n_bags, seed=seed, test=False), epochs=epochs, seed=seed)
    alike = make_bags(recipe, TEST_BAGS, seed=seed + 1000, test=False)
    return area(module, alike), area(module, make_bags(recipe, TEST_BAGS, seed=seed, test=True))


def table(names: list[str], *, n_bags: int, epochs: int, seeds: int) -> list[dict[str, Any]]:
    """Return a row per aggregator: of all seeds the lowest test AUROC, and the mean ``_alike``."""
    jobs = [(n, t, n_bags, epochs, seed) for n in names for t in TESTS for seed in range(seeds)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = {}
        for job, areas in zip(jobs, pool.map(measure, jobs), strict=True):
            found[job] = areas
            print(f"{len(found)}/{len(jobs)} {job[0]} {job[1]}: {areas[1]:.3f}", file=sys.stderr)
    rows = []
    for name in names:
        row: dict[str, Any] = {"aggregator": name}
        for test in TESTS:
            areas = [found[name, test, n_bags, epochs, seed] for seed in range(seeds)]
            row[test] = round(min(each[1] for each in areas), 3)
            row[f"{test}_alike"] = round(float(np.mean([each[0] for each in areas])), 3)
        rows.append(row | {"passes": sum(row[test] >= PASSES for test in TESTS)})
    return rows


def verdict(area: float) -> str:
    return f"{area:.3f} {'pass' if area >= PASSES else 'FAIL'}"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--aggregators", nargs="*", default=groups()["aggregator"], metavar="NAME")
    arguments = parser.parse_args()
    size = {"n_bags": 500, "epochs": 20, "seeds": 1}
    if not arguments.quick:
        size = {"n_bags": 1000, "epochs": 20, "seeds": 3}
    started = time.perf_counter()
    rows = table(arguments.aggregators, **size)
    figures = {
        "seconds": time.perf_counter() - started,
        "aggregators": len(rows),
        "pass_all_three": sum(row["passes"] == len(TESTS) for row in rows),
        **{f"{test}_passed": sum(row[test] >= PASSES for row in rows) for test in TESTS},
        **size,
    }
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{'aggregator':16}" + "".join(f"{test:>24}" for test in TESTS) + "   (alike)")
    for row in rows:
        cells = [f"{verdict(row[test])} ({row[test + '_alike']:.3f})" for test in TESTS]
        print(f"{row['aggregator']:16}" + "".join(f"{cell:>24}" for cell in cells))
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")
    if arguments.json:
        found = {"figures": figures, "rows": rows}
        found["environment"] = {"machine": machine, "load": os.getloadavg()[0]}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
