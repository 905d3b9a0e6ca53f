"""How fast each engine encodes on a CPU, and how far its features are from the eager ones.

Run `python benchmarks/engines.py [--quick] [--json FILE] [--encoder NAME] [--compile]`.

All engines encode the same tiles of noise in turn, several times. Figure ``vs_whole_batches`` is
the speed of the engine that ``auto`` takes against the published network fed with whole batches;
``difference`` is the largest between features, as a part of the largest feature. Speeds are tiles
per second of processor time: other work moves them less than those of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from histofed.extract.encoders import base
from histofed.extract.encoders.load import encoder

BATCH = 32


def measure(name: str, *, repeats: int, compiled: bool) -> dict[str, Any]:
    """Time the engines in turn."""
    chosen = encoder(name, device="cpu")
    names = dict.fromkeys(["eager", chosen.engine, *(["compile"] if compiled else [])])
    ways: dict[str, Any] = {}
    rows = []
    for engine in names:
        started = time.perf_counter()
        ways[engine] = encoder(name, device="cpu", engine=engine).encode
        rows.append({"engine": engine, "load_s": time.perf_counter() - started})
    few = base.tiles_at_once
    size_px = chosen.card.size_px
    tiles = np.random.default_rng(0).integers(0, 256, (BATCH, size_px, size_px, 3), np.uint8)

    def whole_batches(tiles_BHW3: np.ndarray) -> np.ndarray:
        base.tiles_at_once = lambda *_: BATCH
        try:
            return ways["eager"](tiles_BHW3)
        finally:
            base.tiles_at_once = few

    ways = {"eager, whole batches": whole_batches, **ways}
    expected = whole_batches(tiles).astype(np.float32)
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    differences = {}
    for way, encode in ways.items():
        off = np.abs(encode(tiles).astype(np.float32) - expected).max()
        differences[way] = float(off / np.abs(expected).max())
    for _ in range(repeats):
        for way, encode in ways.items():
            started = time.process_time()
            encode(tiles)
            speeds[way].append(BATCH / (time.process_time() - started))
    rows += [
        {"way": way, "tiles_per_cpu_s": statistics.median(found), "difference": differences[way]}
        for way, found in speeds.items()
    ]
    ratios = [
        ours / theirs
        for ours, theirs in zip(speeds[chosen.engine], speeds["eager, whole batches"], strict=True)
    ]
    return {
        "figures": {
            "vs_whole_batches": statistics.median(ratios),
            "tiles_per_cpu_s": statistics.median(speeds[chosen.engine]),
            "difference": max(differences.values()),
        },
        "rows": rows,
        "environment": {
            "encoder": name,
            "engine": chosen.engine,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "load": os.getloadavg()[0],
        },
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--encoder", default="efficientnet_lite0", help="whose weights are here")
    parser.add_argument("--compile", action="store_true", help="torch.compile too: a minute more")
    arguments = parser.parse_args()
    repeats = 3 if arguments.quick else 15
    result = measure(arguments.encoder, repeats=repeats, compiled=arguments.compile)
    for name, value in result["figures"].items():
        print(f"{name}: {value:.3g}")
    for row in result["rows"]:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
