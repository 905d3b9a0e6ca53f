"""How much an encoder's features follow the stain, and what normalising takes away of that.

Run `python benchmarks/stain.py [--quick] [--json FILE] [--encoder NAME]`.

The same synthetic tissue is drawn as each of the four hospitals would stain it. For every tile, the
cosine distance between its features in two stains is divided by the distance between different
tiles of one stain: 0 is an encoder that does not see the stain, 1 one for which a tile in another
stain is as far as another tile. The same is said of random jitter of the stains (Tellez et al.
2019), which slides do not undergo as a whole, so it is measured without normalising.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from histofed.core.tiling import TileSpec
from histofed.extract.stain import AsScanned, Macenko, Reinhard
from histofed.extract.stain.augment import hed_jitter
from histofed.extract.stain.base import sampled
from histofed.extract.tiles import tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide
from histofed.pipeline import build
from histofed.pipeline.config import compose
from histofed.synth import CohortSpec
from histofed.synth.patients import draw_patients
from histofed.synth.slide import render
from histofed.synth.stain import SITES

if TYPE_CHECKING:
    from histofed.extract.encoders import TileEncoder
    from histofed.synth.slide import SlidePlan

METHODS = {"none": AsScanned(), "macenko": Macenko(), "reinhard": Reinhard()}
JITTERS = {"light": 0.05, "strong": 0.2}
BATCH = 32
SPEC = TileSpec()


class Stopwatch(dict[str, float]):
    """Seconds spent, by what they were spent on."""

    def time(self, name: str, work: Any, *arguments: Any) -> Any:
        started = time.perf_counter()
        result = work(*arguments)
        self[name] = self.get(name, 0.0) + time.perf_counter() - started
        return result


def encoded(encoder: TileEncoder, tiles_BHW3: np.ndarray) -> np.ndarray:
    """Return features of length 1."""
    parts = [
        encoder.encode(tiles_BHW3[start : start + BATCH])
        for start in range(0, len(tiles_BHW3), BATCH)
    ]
    features = np.concatenate(parts).astype(np.float64)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def between_tiles(features_ND: np.ndarray) -> float:
    """Return the mean cosine distance between different tiles."""
    n_tiles = len(features_ND)
    cosines = features_ND @ features_ND.T
    return float(1 - (cosines.sum() - np.trace(cosines)) / (n_tiles * (n_tiles - 1)))


def apart(one_ND: np.ndarray, other_ND: np.ndarray) -> float:
    """Return the mean cosine distance of tiles to themselves, in parts of `between_tiles`."""
    distance = 1 - (one_ND * other_ND).sum(axis=1).mean()
    return float(distance / np.mean([between_tiles(one_ND), between_tiles(other_ND)]))


def measure_slide(
    plan: SlidePlan, folder: Path, encoder: TileEncoder, *, n_tiles: int, watch: Stopwatch
) -> dict[str, float]:
    """Return the distances of one slide in four stains."""
    features: dict[str, list[np.ndarray]] = {name: [] for name in METHODS}
    found: dict[str, float] = {}
    tiles = None
    for site in SITES:
        scanner = replace(plan.site, stain=site.stain)
        path = folder / f"{plan.slide_id}-{site.name}.svs"
        write_pyramid(path, render(replace(plan, site=scanner))[0], mpp=scanner.mpp)
        with open_slide(path) as reader:
            if tiles is None:  # the same tiles in every stain
                tiles, _, _ = tile_slide(
                    reader, plan.slide_id, slide_digest="", spec=SPEC, tissue=OtsuSaturation()
                )
            some = sampled(reader, tiles, n_tiles=n_tiles)
            for name, method in METHODS.items():
                transform = watch.time(f"{name}_fit", method.fit, reader, tiles)
                moved = watch.time(f"{name}_transform", transform, some)
                features[name].append(watch.time("encode", encoded, encoder, moved))
        if site is SITES[0]:
            plain = features["none"][0]
            for name, sigma in JITTERS.items():
                jittered = hed_jitter(torch.from_numpy(some), sigma=sigma, seed=0).numpy()
                found[f"jitter_{name}"] = apart(plain, encoded(encoder, jittered))
    for name, stains in features.items():
        found[f"stain_{name}"] = float(np.mean([apart(a, b) for a, b in combinations(stains, 2)]))
    return found


def measure(*, slides: int, n_tiles: int, encoder_name: str) -> dict[str, Any]:
    """Measure some synthetic slides that have neither pen nor blur."""
    config = compose("extract", [f"encoder={encoder_name}"]).encoder
    encoder = build.encoder(config, spec=SPEC)
    plans = [plan for patient in draw_patients(CohortSpec()) for plan in patient.plans]
    clean = [plan for plan in plans if not (plan.pen or plan.blurred) and plan.site is SITES[0]]
    rows, watch = [], Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        for plan in clean[:slides]:
            found = measure_slide(plan, Path(folder), encoder, n_tiles=n_tiles, watch=watch)
            rows.append({"slide": plan.slide_id, **found})
    names = [name for name in rows[0] if name != "slide"]
    figures = {name: float(np.mean([row[name] for row in rows])) for name in names}
    of_each = watch["encode"] / len(METHODS)  # the encoder's part for one method
    for name in METHODS:
        figures[f"{name}_transform_per_encode"] = watch[f"{name}_transform"] / of_each
        figures[f"{name}_fit_s"] = watch[f"{name}_fit"] / (len(rows) * len(SITES))
    figures["slides"], figures["tiles"] = float(len(rows)), float(n_tiles)
    machine = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "encoder": encoder_name,
        "load": os.getloadavg()[0],
    }
    return {"figures": figures, "rows": rows, "environment": machine}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--encoder", default="efficientnet_lite0", help="any of configs/encoder/")
    arguments = parser.parse_args()
    slides, n_tiles = (1, 24) if arguments.quick else (2, 32)
    result = measure(slides=slides, n_tiles=n_tiles, encoder_name=arguments.encoder)
    for name, value in result["figures"].items():
        print(f"{name}: {value:.4g}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
