"""How well quality flags find planted flaws, and how often they are wrong on clean tissue.

Run `python benchmarks/quality.py [--quick] [--json FILE] [--clean SLIDE[@MPP] ...]`.

Slides of the synthetic cohort are drawn while their artefacts are watched, so that it is known
where pen, blur and fat were put. A tile counts as flawed where the flaw covers at least `COVERED`
of it, as clean where there is none; in between it is not counted. ``--clean`` names real slides
(with the resolution of those that do not say it) whose tissue is taken to be flawless.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from histofed.core.quality import FLAGS, bits
from histofed.core.tiling import TileSpec, box_means
from histofed.extract.quality import QualitySpec
from histofed.extract.tiles import tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide
from histofed.synth import CohortSpec, artefacts
from histofed.synth import slide as drawing
from histofed.synth.patients import draw_patients
from histofed.synth.tissue import UM_PER_PX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histofed.io.store import SlideTiles
    from histofed.synth.slide import SlidePlan

COVERED = {"pen": 0.1, "blur": 0.9, "fat": 0.5}
"""Share of a tile from which it counts as flawed. Pen is narrow; blur fades out at its border."""

QUALITY = QualitySpec(drop=())


@dataclass
class Planted:
    """Where flaws are, on the canvas of a synthetic slide."""

    maps: dict[str, np.ndarray] = field(default_factory=dict)
    shape: tuple[int, int] = (0, 0)

    def disc(self, flaw: str, x: float, y: float, radius: float) -> None:
        ys, xs = np.ogrid[: self.shape[0], : self.shape[1]]
        found = self.maps.setdefault(flaw, np.zeros(self.shape, bool))
        found |= np.hypot(xs - x, ys - y) <= radius


@contextmanager
def watched(planted: Planted) -> Iterator[None]:
    """Note what the artefacts of the generator change, while they do."""
    blur, pen, fat = artefacts.out_of_focus, artefacts.pen_stroke, drawing.fat

    def changed(paint: Any, rgb: np.ndarray) -> np.ndarray:
        before = rgb.copy()
        paint()
        return np.abs(before.astype(np.int16) - rgb).max(axis=-1)

    def watch_blur(rng: Any, rgb: np.ndarray, tissue: np.ndarray) -> None:
        rows, columns = np.nonzero(changed(lambda: blur(rng, rgb, tissue), rgb) > 0)
        radius = max(np.ptp(rows), np.ptp(columns)) / 2
        centre = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
        planted.disc("blur", *centre, radius * 0.85)  # it fades out over the outer quarter

    def watch_pen(rng: Any, rgb: np.ndarray, tissue: np.ndarray, *, colour: str) -> None:
        planted.maps["pen"] = changed(lambda: pen(rng, rgb, tissue, colour=colour), rgb) > 20

    def watch_fat(rng: Any, canvas: Any, at_um: tuple[float, float], radius_um: float) -> None:
        planted.shape = canvas.tissue_HW.shape
        planted.disc("fat", *(at / UM_PER_PX for at in at_um), 0.9 * radius_um / UM_PER_PX)
        fat(rng, canvas, at_um, radius_um)

    with (
        patch.object(artefacts, "out_of_focus", watch_blur),
        patch.object(artefacts, "pen_stroke", watch_pen),
        patch.object(drawing, "fat", watch_fat),
    ):
        yield


def tiled(path: Path, *, mpp: float | None = None) -> tuple[SlideTiles, float]:
    """Return a slide's tiles with their flags, and the slide's resolution."""
    with open_slide(path, fallback_mpp=mpp) as reader:
        spec = TileSpec(mpp=max(0.5, reader.info.mpp))
        tiles, _, _ = tile_slide(
            reader, path.stem, slide_digest="", spec=spec, tissue=OtsuSaturation(), quality=QUALITY
        )
        return tiles, reader.info.mpp


def score_planted(plan: SlidePlan, folder: Path) -> Iterator[tuple[str, bool, bool]]:
    """Yield (flaw, planted, flagged) of the tiles of one synthetic slide that are one or other."""
    planted = Planted(shape=(round(plan.height_um / UM_PER_PX), round(plan.width_um / UM_PER_PX)))
    with watched(planted):
        rgb, _ = drawing.render(plan)
    path = folder / f"{plan.slide_id}{plan.site.suffix}"
    write_pyramid(path, rgb, mpp=plan.site.mpp, vendor=plan.site.vendor)
    tiles, mpp = tiled(path)
    assert tiles.flags_N is not None
    for flaw, least in COVERED.items():
        there = planted.maps.get(flaw, np.zeros((1, 1), bool))
        share = box_means(there, tiles.coords_N2, tiles.record.side_px0, UM_PER_PX / mpp)
        flagged = tiles.flags_N & bits([flaw]) > 0
        for covered, found in zip(share.tolist(), flagged.tolist(), strict=True):
            if covered >= least or covered == 0:
                yield flaw, covered >= least, found


def measure(*, slides: int, clean: list[str]) -> dict[str, Any]:
    """Score synthetic slides against what was planted, real ones against nothing."""
    plans = [plan for patient in draw_patients(CohortSpec()) for plan in patient.plans]
    plans.sort(key=lambda plan: not (plan.pen or plan.blurred))  # the flawed ones first
    seen: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for plan in plans[:slides]:
            for flaw, there, flagged in score_planted(plan, Path(folder)):
                seen[flaw, there].append(flagged)
    figures = {"seconds": time.perf_counter() - started, "slides": float(len(plans[:slides]))}
    for (flaw, there), flagged in sorted(seen.items()):
        name = f"{flaw}_{'sensitivity' if there else 'false_positive_rate'}"
        figures[name] = float(np.mean(flagged))
        figures[f"{name}_tiles"] = float(len(flagged))
    rows = []
    for text in clean:
        file, _, mpp = text.partition("@")
        tiles, _ = tiled(Path(file), mpp=float(mpp) if mpp else None)
        assert tiles.flags_N is not None
        row: dict[str, Any] = {"slide": Path(file).name, "tiles": len(tiles.flags_N)}
        rows.append(row | {name: int((tiles.flags_N & bits([name]) > 0).sum()) for name in FLAGS})
    machine = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
    }
    return {"figures": figures, "rows": rows, "environment": machine}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--clean", nargs="*", default=[], metavar="SLIDE[@MPP]")
    arguments = parser.parse_args()
    result = measure(slides=10 if arguments.quick else 64, clean=arguments.clean)
    for name, value in result["figures"].items():
        print(f"{name}: {value:.4g}")
    for row in result["rows"]:
        print(", ".join(f"{name} {value}" for name, value in row.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
