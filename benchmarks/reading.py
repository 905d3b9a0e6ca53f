"""How fast tiles come off a slide, against OpenSlide and against the bare JPEG decoder.

Run `python benchmarks/reading.py [--quick] [--json FILE]` with the real slide
CMU-1-Small-Region.svs in HISTOFED_TEST_DATA/slides (default ../shared/data).

The real slide is repeated to a mosaic of about 16,000 x 16,000 pixels, stored as a scanner does
(JPEG blocks of 256 px). Every side works on the same tiles of 112 microns, on one core, a few rows
of tiles at a time in turn:

- ours: blocks decoded once, resampled to the encoder's 224 px;
- OpenSlide: the region of each tile, resampled by Pillow, as most tools do it;
- the limit: libjpeg-turbo decoding the blocks that the tiles touch, and nothing else, called as
  anyone would: a new array for each block;
- the cached limit: the same into memory that it writes through the processor's caches, which is
  luck above (see `histofed.io.readers.tiff_levels`) and no luck in ours.

Figures are ratios of processor time: ``vs_openslide`` (the same job), ``vs_openslide_regions`` (its
regions alone, not resampled), ``vs_jpeg_limit`` and ``vs_jpeg_cached_limit`` (all of ours against
decoding alone), and ``decoded_per_touched``, blocks decoded for each block needed. They are of a
scan at 40x (0.25 microns per pixel); those that end in ``_at_20x`` are of one at 20x (0.499), where
there is less to decode for each tile that is resampled.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile
import torch

from histofed.core.tiling import TileSpec, full_grid, level_boxes
from histofed.extract.reading import read_batches
from histofed.extract.resampling import resampled
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide
from histofed.io.readers.decoders import cached_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.io.readers import SlideReader

DATA = Path(os.environ.get("HISTOFED_TEST_DATA", Path(__file__).parents[1] / "../shared/data"))
BATCH = 32
TILES_A_TURN = 150
SPEC = TileSpec()


def mosaic(folder: Path, *, side_px: int, mpp: float) -> Path:
    """Write the real slide again and again, side by side, as one slide."""
    with open_slide(DATA / "slides" / "CMU-1-Small-Region.svs") as slide:
        info = slide.info
        one = slide.read(0, 0, 0, width_px=info.width_px0, height_px=info.height_px0)
    repeats = (-(-side_px // one.shape[0]), -(-side_px // one.shape[1]), 1)
    pixels = np.tile(one, repeats)[:side_px, :side_px]
    return write_pyramid(folder / f"mosaic-{mpp}.svs", pixels, mpp=mpp)


def turns(path: Path, *, repeats: int) -> list[dict[str, Any]]:
    """Time the sides in alternation, a few rows of tiles at a time."""
    rows = []
    with open_slide(path) as fast, open_slide(path, fast=False) as slow:
        coords = full_grid(SPEC, fast.info)
        bands = np.array_split(coords, max(1, round(len(coords) / TILES_A_TURN)))
        sides = [
            {
                "ours": partial(read_ours, fast, band),
                "openslide": partial(read_openslide, slow, band),
                "openslide_regions": partial(read_openslide, slow, band, resample=False),
                "limit": limit(path, fast, band),
                "cached_limit": limit(path, fast, band, room=cached_memory((256, 256, 3))),
            }
            for band in bands
        ]
        for repeat in range(repeats + 1):
            for band, each in zip(bands, sides, strict=True):
                seconds = {name: timed(side) for name, side in each.items()}
                if repeat == 0:
                    continue  # files and code are warm now
                rows.append(
                    {
                        "slide_mpp": fast.info.mpp,
                        "n_tiles": len(band),
                        **{f"{name}_seconds": taken for name, taken in seconds.items()},
                    }
                )
        decoded_per_touched = fast.blocks_decoded / fast.blocks_touched
    return [{**row, "decoded_per_touched": decoded_per_touched} for row in rows]


def ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the figures of some turns: sums of seconds, so that a slow moment weighs on all."""
    seconds = {
        name: sum(row[f"{name}_seconds"] for row in rows)
        for name in ("ours", "openslide", "openslide_regions", "limit", "cached_limit")
    }
    return {
        "vs_openslide": seconds["openslide"] / seconds["ours"],
        "vs_openslide_regions": seconds["openslide_regions"] / seconds["ours"],
        "vs_jpeg_limit": seconds["limit"] / seconds["ours"],
        "vs_jpeg_cached_limit": seconds["cached_limit"] / seconds["ours"],
        "tiles_per_s": sum(row["n_tiles"] for row in rows) / seconds["ours"],
        "decoded_per_touched": rows[0]["decoded_per_touched"],
    }


def read_ours(slide: SlideReader, coords: np.ndarray) -> None:
    """Read and resample every tile."""
    for _ in read_batches(slide, SPEC, coords, batch_size=BATCH):
        pass


def read_openslide(slide: SlideReader, coords: np.ndarray, *, resample: bool = True) -> None:
    """Read the region of every tile, and resample it as Pillow does."""
    areas = level_boxes(SPEC, slide.info, coords)
    for number in range(len(coords)):
        area = areas[number]
        pixels = slide.read(
            area.level, area.x_px, area.y_px, width_px=area.width_px, height_px=area.height_px
        )
        if resample:
            resampled(pixels, area.box, SPEC.size_px)


def limit(
    path: Path, slide: SlideReader, coords: np.ndarray, *, room: np.ndarray | None = None
) -> Callable[[], None]:
    """Return what decodes the blocks that the tiles touch, from memory and into ``room``."""
    areas = level_boxes(SPEC, slide.info, coords)
    left, top = areas.corners_N2.min(axis=0).tolist()
    right, bottom = (areas.corners_N2 + areas.sizes_N2).max(axis=0).tolist()
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[areas.level].aspage()
        columns = -(-page.imagewidth // page.tilewidth)
        blocks = [
            row * columns + column
            for row in range(top // page.tilelength, -(-bottom // page.tilelength))
            for column in range(left // page.tilewidth, -(-right // page.tilewidth))
        ]
        tables = page.jpegtables
        offsets = [page.dataoffsets[block] for block in blocks]
        lengths = [page.databytecounts[block] for block in blocks]
        content = [data for data, _ in tiff.filehandle.read_segments(offsets, lengths)]

    def decode() -> None:
        for data in content:
            imagecodecs.jpeg8_decode(
                data, tables=tables, colorspace="YCBCR", outcolorspace="RGB", out=room
            )

    return decode


def timed(side: Callable[[], None]) -> float:
    """Return the seconds of processor time; the machine may have other things to do."""
    started = time.process_time()
    side()
    return time.process_time() - started


def measure(*, side_px: int, repeats: int) -> dict[str, Any]:
    """Measure at 40x and 20x."""
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row
            for mpp in (0.25, 0.499)
            for row in turns(mosaic(Path(folder), side_px=side_px, mpp=mpp), repeats=repeats)
        ]
    return {
        "figures": ratios([row for row in rows if row["slide_mpp"] == 0.25])
        | {
            f"{name}_at_20x": value
            for name, value in ratios([row for row in rows if row["slide_mpp"] != 0.25]).items()
        },
        "rows": rows,
        "environment": {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "imagecodecs": imagecodecs.__version__,
            "torch": torch.__version__,
            "load": os.getloadavg()[0],
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        },
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    size = (
        {"side_px": 6_000, "repeats": 4} if arguments.quick else {"side_px": 16_000, "repeats": 3}
    )
    result = measure(**size)
    for name, value in result["figures"].items():
        print(f"{name}: {value:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
