"""How fast MIL training is, against the loop one would write by hand.

Run `python benchmarks/mil_training.py [--quick] [--json FILE]`. The full size takes 15 GB.

Both sides train gated attention for the same number of epochs on the same 1,000 bags of 5,000 tiles
x 1,024 features, held in memory as float16, and are tested on 400 other bags:

- by hand: one bag a step, all its tiles, plain PyTorch, written below;
- ours: the Lightning module, data module and Trainer of `histofed train`, with its defaults (8
  patients a step, 2,000 tiles drawn anew of each in every epoch; the test takes all tiles).

A positive bag holds a few tiles that are shifted in one direction; noise in the labels keeps the
task from being solved. Figures: ``vs_plain_loop``, bags per second of processor time, ours over
the other's (one thread, in turn, median); ``vs_plain_loop_all_tiles``, the same with every tile in
every epoch; ``result_difference``, test AUROC of ours minus the other's;
``peak_mb_per_epoch_growth``, by how much our peak memory grows with each epoch after the second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from histofed.core.metrics import auroc
from histofed.core.splits import Fold
from histofed.mil.aggregators.gated_abmil import GatedABMIL
from histofed.mil.bags import Bag
from histofed.mil.data import BagDataModule
from histofed.mil.fitting import Fitting, quiet
from histofed.mil.memory import room_for
from histofed.mil.module import MILModule, predict
from histofed.mil.moments import Moments, total
from histofed.mil.objectives.binary import Binary
from histofed.torchvision_compat import ensure_torchvision_imports

ensure_torchvision_imports()
from pytorch_lightning.callbacks import Callback  # noqa: E402

LEARNING_RATE, WEIGHT_DECAY, BATCH_SIZE, TILES_PER_BAG = 1e-3, 0.01, 8, 2000


@dataclass(frozen=True, kw_only=True)
class Size:
    n_train: int = 1000
    n_test: int = 400
    n_tiles: int = 5000
    dim: int = 1024
    epochs: int = 4
    turns: int = 1


def make_bags(size: Size) -> dict[str, Bag]:
    """Draw bags whose tiles come from one pool; one in fifty tiles of a positive bag is shifted."""
    random = np.random.default_rng(0)
    n_bags = size.n_train + size.n_test
    pool_ND = torch.from_numpy(random.standard_normal((20_000, size.dim), dtype=np.float32))
    shift_D = torch.from_numpy(random.standard_normal(size.dim, dtype=np.float32))
    pool_ND, shifted_ND = pool_ND.half(), (pool_ND + 0.35 * shift_D).half()
    room_ND = room_for(n_bags * size.n_tiles, size.dim, scratch=Path(tempfile.gettempdir()))
    bags = {}
    for number in range(n_bags):
        features_ND = room_ND[number * size.n_tiles : (number + 1) * size.n_tiles]
        rows = torch.from_numpy(random.integers(len(pool_ND), size=size.n_tiles))
        torch.index_select(pool_ND, 0, rows, out=features_ND)
        positive = number % 2
        n_shifted = positive * size.n_tiles // 50
        features_ND[:n_shifted] = shifted_ND[rows[:n_shifted]]
        label = positive ^ int(random.random() < 0.1)
        bags[str(number)] = Bag(str(number), "here", (float(label),), features_ND, None, {})
    return bags


class ByHand(nn.Module):
    """Gated attention as a person would write it for one bag ``(N, D)``."""

    def __init__(self, mean_D: Tensor, std_D: Tensor) -> None:
        super().__init__()
        self.mean_D, self.std_D = mean_D, std_D
        self.project = nn.Sequential(
            nn.LayerNorm(len(mean_D)), nn.Linear(len(mean_D), 128), nn.ReLU(), nn.Dropout(0.25)
        )
        self.tanh, self.gate = nn.Linear(128, 64), nn.Linear(128, 64)
        self.score, self.classify = nn.Linear(64, 1, bias=False), nn.Linear(128, 1)

    def forward(self, features_ND: Tensor) -> Tensor:
        hidden = self.project((features_ND.float() - self.mean_D) / self.std_D)
        scores = self.score(torch.tanh(self.tanh(hidden)) * torch.sigmoid(self.gate(hidden)))
        return self.classify(torch.softmax(scores, dim=0).T @ hidden).squeeze()


def train_by_hand(bags: dict[str, Bag], fold: Fold, moments: Moments, size: Size) -> ByHand:
    """Train one bag a step."""
    torch.manual_seed(0)
    model = ByHand(moments.mean_D.float(), moments.std_D.float())
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(size.epochs):
        for number in torch.randperm(len(fold.train)).tolist():
            bag = bags[fold.train[number]]
            loss = nn.functional.binary_cross_entropy_with_logits(
                model(bag.features_ND), torch.tensor(bag.label[0])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def train_ours(
    bags: dict[str, Bag], fold: Fold, moments: Moments, size: Size, *, tiles_per_bag: int | None
) -> tuple[MILModule, list[float]]:
    """Train as `histofed train` does; return the module and the peak memory after each epoch."""
    torch.manual_seed(0)
    aggregator = GatedABMIL(size.dim, 1)
    aggregator.standardise_with(moments.mean_D, moments.std_D)
    module = MILModule(aggregator, Binary(), learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    data = BagDataModule(bags, fold, batch_size=BATCH_SIZE, tiles_per_bag=tiles_per_bag)
    peak = PeakMemory()
    fitting = Fitting(
        max_epochs=size.epochs, patience=size.epochs, accelerator="cpu", precision="32-true"
    )
    with tempfile.TemporaryDirectory() as folder, quiet():
        trainer = fitting.trainer([peak], folder=Path(folder), validate=False)
        trainer.fit(module, datamodule=data)
    return module, peak.after_epoch_mb


class PeakMemory(Callback):
    """The largest resident memory so far, after every epoch."""

    def __init__(self) -> None:
        self.after_epoch_mb: list[float] = []

    def on_train_epoch_end(self, *_: Any) -> None:
        status = Path("/proc/self/status").read_text()
        self.after_epoch_mb.append(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024)


def timed(work: Any) -> tuple[Any, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def measure(size: Size) -> dict[str, Any]:
    """Train both sides in turn."""
    torch.set_num_threads(1)
    bags = make_bags(size)
    names = list(bags)
    fold = Fold(0, tuple(names[: size.n_train]), (), tuple(names[size.n_train :]))
    moments = total(Moments.of(bags[name].features_ND) for name in fold.train[:100])
    labels = np.array([bags[name].label[0] for name in fold.test])
    rows = []
    sides = {"by hand": None, "ours": TILES_PER_BAG, "ours, all tiles": size.n_tiles}
    for turn in range(size.turns):
        for side, tiles_per_bag in sides.items():
            if side == "by hand":
                model, seconds = timed(lambda: train_by_hand(bags, fold, moments, size))
                model.eval()
                with torch.inference_mode():
                    values = [float(model(bags[name].features_ND)) for name in fold.test]
                peaks_mb = []
            else:
                (module, peaks_mb), seconds = timed(
                    lambda t=tiles_per_bag: train_ours(bags, fold, moments, size, tiles_per_bag=t)
                )
                tested = BagDataModule(bags, fold, batch_size=1).predict_dataloader()
                found = predict(module, tested)
                values = [found[name][0] for name in fold.test]
            rows.append(
                {
                    "turn": turn,
                    "side": side,
                    "bags_per_s": size.n_train * size.epochs / seconds,
                    "test_auroc": auroc(labels, np.array(values)),
                    "peak_mb_after_epoch": [round(mb) for mb in peaks_mb],
                }
            )
            print({key: value for key, value in rows[-1].items() if key != "turn"}, flush=True)
    return {
        "figures": figures(rows),
        "rows": rows,
        "environment": {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, 1 thread",
            "torch": torch.__version__,
            "load": os.getloadavg()[0],
        },
    }


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the medians over the turns."""

    def of(side: str, key: str) -> list[float]:
        return [row[key] for row in rows if row["side"] == side]

    def ratio(side: str) -> float:
        pairs = zip(of(side, "bags_per_s"), of("by hand", "bags_per_s"), strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    growth = [
        (peaks[-1] - peaks[1]) / (len(peaks) - 2)
        for peaks in (row["peak_mb_after_epoch"] for row in rows if row["side"] == "ours")
    ]
    return {
        "vs_plain_loop": ratio("ours"),
        "vs_plain_loop_all_tiles": ratio("ours, all tiles"),
        "result_difference": statistics.median(of("ours", "test_auroc"))
        - statistics.median(of("by hand", "test_auroc")),
        "peak_mb_per_epoch_growth": max(growth),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    quick = Size(n_train=80, n_test=40, epochs=3)
    result = measure(quick if arguments.quick else Size())
    for name, value in result["figures"].items():
        print(f"{name}: {value:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
