"""How much of the bare forward pass is left when tiles come from slides.

Run `python benchmarks/encoding.py [--quick] [--json FILE]`.

Both sides encode the same tiles of the same slides, in turn, several times: slides of the synthetic
cohort, repeated side by side to the size of a resection (2,000 tiles). The pipeline opens the
slides, reads, resamples and encodes as `histofed extract` does. Beside it, on tiles that are in
memory already:

- the bare forward pass: the published network as one would call it, on whole batches, with all of
  torch's threads. Figures ``vs_forward_cpu`` and ``vs_forward_gpu`` are the pipeline's speed over
  that of it;
- our own forward pass: the engine that the pipeline uses. Figure ``vs_own_forward_cpu`` is what
  reading leaves of it: on a CPU, decoding and encoding share the cores, so that it cannot reach 1,
  and the faster the engine, the lower it lies.

Figures are medians. There are as many tiles as fill whole batches: what fills up the last one
happens once in a command, however long. Tissue and tiles are found before. ``own_cpu_ratio`` in the
rows compares processor time in place of time: where other work runs beside, it says more of a CPU.

On the GPU the encoder is a ViT-L/16 with weights drawn by chance: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from histofed.core.tiling import TileSpec
from histofed.extract.encoders import TileEncoder
from histofed.extract.encoders.base import AUTOCAST
from histofed.extract.encoders.build import build
from histofed.extract.encoders.device import chosen_precision
from histofed.extract.encoders.google import efficientnet_lite0
from histofed.extract.encoders.registry import card
from histofed.extract.extract import encode_slide
from histofed.extract.feed import EncoderFeed
from histofed.extract.reading import read_batches
from histofed.extract.tiles import tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide, slide_digest
from histofed.io.tables import read_slides
from histofed.synth import CohortSpec, make_cohort

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from histofed.io.store import SlideTiles

SPEC = TileSpec()
GPU_ENCODER = "uni"


@dataclass(frozen=True, kw_only=True)
class Side:
    """What is measured on one device; the slides are read so many times over."""

    device: str
    encoder: TileEncoder
    batch_size: int
    times: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is encoded: so many slides, of so many squared copies of a drawn one."""

    slides: int
    copies: int
    repeats: int
    seconds: float


def measure(size: Size) -> dict[str, Any]:
    """Time pipeline and limit in alternation, for so long at most, on every device there is."""
    torch.manual_seed(0)
    sides = [
        Side(device="cpu", encoder=efficientnet_lite0(device="cpu"), batch_size=32, times=1,
             threads=0)
    ]  # fmt: skip
    if torch.cuda.is_available():
        threads = min(os.cpu_count() or 1, 16)
        sides.append(
            Side(device="gpu", encoder=_on_gpu(), batch_size=256, times=40, threads=threads)
        )
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        tiled = _tiled(Path(folder), size)
        for side in sides:
            whole = _whole_batches(tiled * side.times, side.batch_size)
            rows += _rows(side, whole, repeats=size.repeats, seconds=size.seconds / len(sides))
    figures = {}
    for side in sides:
        theirs = [row for row in rows if row["device"] == side.device]
        end = "" if side.device == "cpu" else "_gpu"
        for name in ("vs_forward", "vs_own_forward"):
            figures[f"{name}_{side.device}"] = statistics.median(row[name] for row in theirs)
        figures[f"tiles_per_s{end}"] = statistics.median(
            row["pipeline_tiles_per_s"] for row in theirs
        )
    return {"figures": figures, "rows": rows, "environment": _environment()}


def _rows(
    side: Side, tiled: list[tuple[Path, SlideTiles]], *, repeats: int, seconds: float
) -> list[dict[str, Any]]:
    n_tiles = sum(len(tiles.coords_N2) for _, tiles in tiled)
    batches = _in_memory(side, tiled)
    ways: dict[str, Callable[[], None]] = {
        "pipeline": partial(_pipeline, side, tiled),
        "own_forward": partial(_own_forward, side, batches),
        "bare_forward": partial(_bare_forward, side, batches),
    }
    _own_forward(side, batches[:1])  # warm
    _bare_forward(side, batches[:1])
    rows: list[dict[str, Any]] = []
    began = time.perf_counter()
    while len(rows) < repeats and (not rows or time.perf_counter() - began < seconds):
        took = {name: _timed(way) for name, way in ways.items()}
        (ours_s, ours_cpu_s), (own_s, own_cpu_s) = took["pipeline"], took["own_forward"]
        rows.append(
            {
                "device": side.device,
                "encoder": side.encoder.card.name,
                "engine": side.encoder.engine,
                "precision": side.encoder.precision,
                "batch_size": side.batch_size,
                "repeat": len(rows),
                "n_slides": len(tiled),
                "n_tiles": n_tiles,
                **{f"{name}_tiles_per_s": n_tiles / seconds for name, (seconds, _) in took.items()},
                "vs_forward": took["bare_forward"][0] / ours_s,
                "vs_own_forward": own_s / ours_s,
                "own_cpu_ratio": own_cpu_s / ours_cpu_s,
            }
        )
    return rows


def _timed(way: Callable[[], None]) -> tuple[float, float]:
    """Return seconds, and seconds of processor time."""
    started, started_cpu = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - started, time.process_time() - started_cpu


def _pipeline(side: Side, tiled: list[tuple[Path, SlideTiles]]) -> None:
    with EncoderFeed({"it": side.encoder}, batch_size=side.batch_size) as feed:
        for path, tiles in tiled:
            with open_slide(path) as reader:
                for _ in encode_slide(reader, tiles, feed, names=["it"], threads=side.threads):
                    pass


def _own_forward(side: Side, batches: list[torch.Tensor]) -> None:
    for batch_BHW3 in batches:
        if side.device == "gpu":
            side.encoder.features(batch_BHW3)
        else:
            side.encoder.encode(batch_BHW3.numpy())
    if side.device == "gpu":
        torch.cuda.synchronize()


@torch.inference_mode()
def _bare_forward(side: Side, batches: list[torch.Tensor]) -> None:
    """Call the published network as one would by hand."""
    card, device = side.encoder.card, side.encoder.device
    mean, std = (torch.tensor(each, device=device).view(3, 1, 1) for each in (card.mean, card.std))
    half = AUTOCAST.get(side.encoder.precision)
    with torch.autocast(device.type, half, enabled=half is not None):
        for batch_BHW3 in batches:
            side.encoder.module((batch_BHW3.permute(0, 3, 1, 2) / 255 - mean) / std)
    if side.device == "gpu":
        torch.cuda.synchronize()


def _in_memory(side: Side, tiled: list[tuple[Path, SlideTiles]]) -> list[torch.Tensor]:
    """Return the tiles in whole batches, on the device."""
    pixels: list[NDArray[np.uint8]] = []
    for path, tiles in tiled:
        with open_slide(path) as reader:
            batches = read_batches(reader, SPEC, tiles.coords_N2, batch_size=side.batch_size)
            pixels += [tiles_BHW3.copy() for _, tiles_BHW3 in batches]
    every = torch.from_numpy(np.concatenate(pixels)).to(side.encoder.device)
    return list(every.split(side.batch_size))


def _tiled(folder: Path, size: Size) -> list[tuple[Path, SlideTiles]]:
    """Make slides and find their tiles."""
    cohort = make_cohort(folder, CohortSpec(patients_per_site=-(-size.slides // 4)))
    found = []
    for slide in read_slides(cohort)[: size.slides]:
        path = _mosaic(slide.path, folder / f"{slide.slide_id}-mosaic.tif", copies=size.copies)
        with open_slide(path) as reader:
            tiles, _, _ = tile_slide(
                reader,
                slide.slide_id,
                slide_digest=slide_digest(path),
                spec=SPEC,
                tissue=OtsuSaturation(),
            )
        found.append((path, tiles))
    return found


def _mosaic(source: Path, path: Path, *, copies: int) -> Path:
    """Write a slide that shows another, as many times in each direction."""
    with open_slide(source) as reader:
        info = reader.info
        one = reader.read(0, 0, 0, width_px=info.width_px0, height_px=info.height_px0)
    return write_pyramid(path, np.tile(one, (copies, copies, 1)), mpp=info.mpp)


def _whole_batches(
    tiled: list[tuple[Path, SlideTiles]], batch_size: int
) -> list[tuple[Path, SlideTiles]]:
    """Return the slides without the last tiles that fill no batch."""
    left = sum(len(tiles.coords_N2) for _, tiles in tiled) // batch_size * batch_size
    whole = []
    for path, tiles in tiled:
        some = slice(min(left, len(tiles.coords_N2)))
        left -= some.stop
        if some.stop:
            coords_N2, tissue_N = tiles.coords_N2[some], tiles.tissue_N[some]
            whole.append((path, replace(tiles, coords_N2=coords_N2, tissue_N=tissue_N)))
    return whole


def _on_gpu() -> TileEncoder:
    facts, device = card(GPU_ENCODER), torch.device("cuda")
    precision = chosen_precision("auto", facts, device)
    module = build(facts, device="cpu")
    return TileEncoder(facts, module, "random", device=device, precision=precision)


def _environment() -> dict[str, Any]:
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    quick = Size(slides=1, copies=2, repeats=3, seconds=25.0)
    result = measure(quick if arguments.quick else Size(slides=1, copies=6, repeats=7, seconds=400))
    for name, value in result["figures"].items():
        print(f"{name}: {value:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
