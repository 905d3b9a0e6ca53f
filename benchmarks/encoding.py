"""How much of the bare forward pass is left when tiles come from slides.

Run `python benchmarks/encoding.py [--quick] [--json FILE]`.

Both sides encode the same tiles of the same synthetic slides, in turn, several times: the pipeline
reads, resamples and encodes; the limit encodes tiles that are already in memory. Figure
``vs_forward_cpu`` is the median ratio of their speeds; 1 would mean that reading costs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from histofed.core.tiling import TileSpec
from histofed.extract.encoders.google import efficientnet_lite0
from histofed.extract.extract import encode_slide, feature_recipe
from histofed.extract.reading import read_batches
from histofed.extract.tiles import tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.readers import open_slide, slide_digest
from histofed.io.store import Record
from histofed.io.tables import read_slides
from histofed.synth import CohortSpec, make_cohort

BATCH = 32


def measure(*, slides: int, repeats: int) -> dict[str, Any]:
    """Time both sides in alternation."""
    spec, tissue, encoder = TileSpec(), OtsuSaturation(), efficientnet_lite0()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        cohort = make_cohort(Path(folder), CohortSpec.small())
        for slide in read_slides(cohort)[:slides]:
            with open_slide(slide.path) as reader:
                digest = slide_digest(slide.path)
                tiles, _, _ = tile_slide(
                    reader, slide.slide_id, slide_digest=digest, spec=spec, tissue=tissue
                )
                recipe = feature_recipe(spec, tissue, encoder)
                record = Record.of(recipe, slide.slide_id, digest, reader.info)
                batches = [
                    tiles_BHW3
                    for _, tiles_BHW3 in read_batches(
                        reader, spec, tiles.coords_N2, batch_size=BATCH
                    )
                ]
                encoder.encode(batches[0])  # warm
                for repeat in range(repeats):
                    started = time.perf_counter()
                    encode_slide(reader, tiles, encoder, record=record, batch_size=BATCH)
                    between = time.perf_counter()
                    for batch in batches:
                        encoder.encode(batch)
                    ended = time.perf_counter()
                    n_tiles = len(tiles.coords_N2)
                    rows.append(
                        {
                            "slide": slide.slide_id,
                            "repeat": repeat,
                            "n_tiles": n_tiles,
                            "pipeline_tiles_per_s": n_tiles / (between - started),
                            "forward_tiles_per_s": n_tiles / (ended - between),
                            "ratio": (ended - between) / (between - started),
                        }
                    )
    return {
        "figures": {
            "vs_forward_cpu": statistics.median(row["ratio"] for row in rows),
            "tiles_per_s": statistics.median(row["pipeline_tiles_per_s"] for row in rows),
        },
        "rows": rows,
        "environment": {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "load": os.getloadavg()[0],
        },
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    size = {"slides": 3, "repeats": 2} if arguments.quick else {"slides": 8, "repeats": 5}
    result = measure(**size)
    for name, value in result["figures"].items():
        print(f"{name}: {value:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
