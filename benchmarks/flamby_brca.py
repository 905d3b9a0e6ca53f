"""Fed-TCGA-BRCA of FLamby: survival of 1,088 patients of six regions, beside published figures.

Run `python benchmarks/flamby_brca.py [--quick] [--json FILE] [--data FOLDER] [--strategies NAME
...]`; `--tune` shows what the options were chosen by.

The benchmark's patients, split (``fold2``: 866 train, 222 test with 32 events), six centres, model
(one linear layer of 39 covariates, partial likelihood) and metric (Harrell's C over all test
patients), and its number of optimizer steps: 500 of each centre (du Terrail et al. 2022, NeurIPS,
arXiv:2210.04620; published figures from the current table of its repository).

What differs: a step sees all patients of a centre, where theirs sees 8 (of whom one had an event),
so that the loss is the likelihood stratified by centre; age is standardised with sums that centres
add up, where theirs goes in in years; and the steps are divided into 50 rounds, where theirs are
into 5. These and the options of each strategy were chosen on the training patients alone, by the
mean C within five folds of them (``--tune``); no option was chosen on test patients.

Rows: C of the test patients, mean and deviation over the seeds (initial weights), and the interval
of the mean over 2,000 resamples of test patients (events and others apart). ``at_least_published``:
whether C reaches what is published; ``published_in_interval``: whether the interval holds it.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from linear_sites import Patients, Plan, train, write

from histofed.core.metrics.resampling import bootstrap_rows
from histofed.core.splits import deal
from histofed.core.survival.concordance import harrell_c
from histofed.federation.callbacks.fedprox import FedProx
from histofed.federation.callbacks.scaffold import ScaffoldCorrection
from histofed.federation.strategies.fedopt import FedAdagrad, FedAdam, FedYogi
from histofed.federation.strategies.scaffold import Scaffold
from histofed.mil.moments import Moments, total
from histofed.mil.objectives.cox import Cox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("HISTOFED_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

LOCAL = ("local-0", "local-1", "local-2", "local-3", "local-4", "local-5")

PUBLISHED = dict(zip(LOCAL, (0.695, 0.728, 0.604, 0.565, 0.725, 0.710), strict=True)) | {
    "pooled": 0.704,
    "fedavg": 0.735,
    "fedprox": 0.717,
    "scaffold": 0.699,
    "fedadagrad": 0.834,
    "fedadam": 0.842,
    "fedyogi": 0.842,
}

STEPS = 500
"""Of each centre in all, as in the benchmark."""

BASE = Plan(rounds=50, updates=10, batch_size=None, learning_rate=1.0, weight_decay=0.014)
OFTEN = replace(BASE, rounds=100, updates=5)
SELDOM = replace(BASE, rounds=5, updates=100)

CANDIDATES: dict[str, tuple[Plan, ...]] = {
    "pooled": (BASE, replace(BASE, weight_decay=0.042), replace(BASE, weight_decay=0.0047)),
    "fedavg": (
        OFTEN,
        BASE,
        SELDOM,
        replace(SELDOM, batch_size=8, learning_rate=0.03),
        replace(SELDOM, batch_size=8, learning_rate=0.1),
    ),
    "fedprox": tuple(replace(BASE, callbacks=lambda mu=mu: [FedProx(mu)]) for mu in (0.1, 0.01)),
    "scaffold": tuple(
        replace(plan, strategy=Scaffold(), callbacks=lambda: [ScaffoldCorrection()])
        for plan in (BASE, SELDOM)
    ),
    "fedadagrad": tuple(replace(BASE, strategy=FedAdagrad(learning_rate=r)) for r in (0.1, 0.3)),
    "fedadam": tuple(replace(BASE, strategy=FedAdam(learning_rate=r)) for r in (0.1, 0.03)),
    "fedyogi": tuple(replace(BASE, strategy=FedYogi(learning_rate=r)) for r in (0.1, 0.03)),
}
"""What may be tried of each strategy. The first is taken: the best of them by `--tune`.

A centre alone takes pooled's.
"""


def read(folder: Path, part: str) -> dict[str, Patients]:
    """Return centre -> its patients of one part (train or test) of the benchmark's split."""
    with (folder / "brca.csv").open(newline="", encoding="utf-8") as file:
        row_of = {row["pid"]: row for row in csv.DictReader(file)}
    with (folder / "train_test_split.csv").open(newline="", encoding="utf-8") as file:
        role_of = {row["pid"]: row["fold2"] for row in csv.DictReader(file)}
    centres: dict[str, list[dict[str, str]]] = {}
    for patient, role in role_of.items():
        if role.startswith(part):
            centres.setdefault(role.removeprefix(f"{part}_"), []).append(row_of[patient])
    covariates = [name for name in next(iter(row_of.values())) if name not in ("pid", "E", "T")]
    return {
        centre: Patients(
            np.array([[float(row[name]) for name in covariates] for row in rows]),
            np.array([[float(row["T"]), float(row["E"])] for row in rows]),
        )
        for centre, rows in sorted(centres.items())
    }


def risks(
    sites: Mapping[str, Patients], plan: Plan, tested: np.ndarray, *, seed: int
) -> np.ndarray:
    """Train over centres; return the log hazard ratio of those tested, ``(P,)``."""
    moments = total(Moments.of(torch.from_numpy(each.features_PD)) for each in sites.values())
    # A column of 0 and 1, whose sum is that of its squares, stays as wide as it is.
    flag_D = moments.sum_D == moments.square_sum_D
    mean_D, std_D = moments.mean_D.numpy(), torch.where(flag_D, 1.0, moments.std_D).numpy()
    standard = {
        name: Patients((each.features_PD - mean_D) / std_D, each.target_PK)
        for name, each in sites.items()
    }
    return train(standard, Cox(n_times=0), plan, seed=seed)((tested - mean_D) / std_D)


def sites_of(strategy: str, centres: Mapping[str, Patients]) -> Mapping[str, Patients]:
    """Return who trains: all centres, one alone, or one that holds all patients."""
    if strategy in LOCAL:
        centre = strategy.removeprefix("local-")
        return {centre: centres[centre]}
    return {"all": together(centres)} if strategy == "pooled" else centres


def together(centres: Mapping[str, Patients]) -> Patients:
    """Return the patients of all centres."""
    return Patients(
        np.concatenate([each.features_PD for each in centres.values()]),
        np.concatenate([each.target_PK for each in centres.values()]),
    )


def plan_of(strategy: str) -> Plan:
    """Return the options chosen."""
    return CANDIDATES["pooled" if strategy in LOCAL else strategy][0]


def tuned(strategy: str, centres: Mapping[str, Patients]) -> list[dict[str, Any]]:
    """Return each candidate's mean C within five folds of the training patients."""
    events = np.concatenate([each.target_PK[:, 1] for each in centres.values()]).astype(int)
    names = np.repeat(list(centres), [len(each) for each in centres.values()])
    fold_of = deal(
        {f"{row:04}": int(event) for row, event in enumerate(events)},
        5,
        seed=0,
        site_of={f"{row:04}": str(name) for row, name in enumerate(names)},
    )
    folds_P = np.array([fold_of[f"{row:04}"] for row in range(len(events))])
    everybody, rows = together(centres), []
    for plan in CANDIDATES[strategy]:
        values = []
        for fold in range(5):
            trained = {c: everybody.take((folds_P != fold) & (names == c)) for c in centres}
            held_out = everybody.take(folds_P == fold)
            found = risks(sites_of(strategy, trained), plan, held_out.features_PD, seed=0)
            values.append(harrell_c(*held_out.target_PK.T, found))
        row = {"strategy": strategy, "c_index": round(float(np.mean(values)), 4)}
        rows.append(row | options_of(plan))
        print(rows[-1], flush=True)
    return rows


def options_of(plan: Plan) -> dict[str, Any]:
    """Return a plan's options as they are told."""
    extra = [f"mu {each.mu}" for each in plan.callbacks() if isinstance(each, FedProx)]
    return {
        "rounds": plan.rounds,
        "updates": plan.updates,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "weight_decay": plan.weight_decay,
        "server": " ".join([str(plan.strategy), *extra]),
    }


def row_of(
    strategy: str, trained: Mapping[str, Patients], tested: Patients, *, seeds: Sequence[int]
) -> dict[str, Any]:
    """Return a strategy's row of the table."""
    sites, plan = sites_of(strategy, trained), plan_of(strategy)
    found = [risks(sites, plan, tested.features_PD, seed=seed) for seed in seeds]
    times, events = tested.target_PK.T
    values = [harrell_c(times, events, each) for each in found]

    def mean_c(times: np.ndarray, events: np.ndarray, *each: np.ndarray) -> float:
        return float(np.mean([harrell_c(times, events, one) for one in each]))

    # Seeds that agree to the last patient are one model.
    distinct = list({tuple(np.argsort(each)): each for each in found}.values())
    apart = found if len(distinct) > 1 else distinct
    interval = bootstrap_rows(mean_c, times, events, *apart, strata_P=events)
    return {
        "strategy": strategy,
        "c_index": round(float(np.mean(values)), 3),
        "sd": round(float(np.std(values, ddof=1)), 3) if len(values) > 1 else None,
        "low": round(interval.low, 3),
        "high": round(interval.high, 3),
        "published": PUBLISHED[strategy],
        "at_least_published": bool(round(np.mean(values), 3) >= PUBLISHED[strategy]),
        "published_in_interval": bool(interval.low <= PUBLISHED[strategy] <= interval.high),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two strategies, one seed")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--data", type=Path, default=DATA / "federated" / "fed_tcga_brca")
    parser.add_argument("--strategies", nargs="+", choices=PUBLISHED, metavar="NAME")
    parser.add_argument("--tune", action="store_true", help="compare options on training patients")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        parser.error(f"no tables in {arguments.data}; name their folder with --data")
    started = time.perf_counter()
    trained = read(arguments.data, "train")
    names = arguments.strategies or (["pooled", "fedavg"] if arguments.quick else list(PUBLISHED))
    rows: list[dict[str, Any]] = []
    if arguments.tune:
        for name in names:
            rows += tuned(name, trained) if name in CANDIDATES else []
        figures = {"seconds": time.perf_counter() - started}
    else:
        tested = together(read(arguments.data, "test"))
        for name in names:
            rows.append(row_of(name, trained, tested, seeds=range(1 if arguments.quick else 5)))
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
        federated = [row for row in rows if row["strategy"] not in LOCAL]
        figures = {
            "seconds": time.perf_counter() - started,
            "compared": len(federated),
            "at_least_published": sum(row["at_least_published"] for row in federated),
        }
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")
    if arguments.json:
        write(arguments.json, figures, rows)


if __name__ == "__main__":
    main()
