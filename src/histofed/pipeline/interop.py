"""Feature files of others into ours, and ours into theirs: the larger part of ``convert``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.core.words import counted
from histofed.errors import ConfigError, SlideError, StoreError
from histofed.io.atomic import atomic_path
from histofed.io.interop import (
    HISTOFED,
    WRITERS,
    detect,
    exported_digest,
    find_files,
    is_nameless,
    slide_id_of,
)
from histofed.io.store import FeatureStore, SlideFeatures, SlideTiles, TileStore
from histofed.pipeline import terminal
from histofed.pipeline.interop_options import Supply, ask, check_target, origin_of
from histofed.pipeline.slide_table import write_outcomes
from histofed.pipeline.slides import Outcome, check_same, close

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histofed.core.tiling import TileSpec
    from histofed.pipeline.schema_data import ConvertConfig


def run(config: ConvertConfig) -> int:
    """Convert every file; return the exit code."""
    source, out = Path(config.source), Path(config.out)
    files = find_files(source)
    if out.resolve().is_relative_to(source.resolve()):
        msg = f"out={out} is inside of source={source}; the next conversion would take its own "
        msg += "output for a source: name another folder"
        raise ConfigError(msg)
    origin = origin_of(config, files)
    check_target(config, files, origin)
    supply = Supply(config)
    if origin != HISTOFED:
        ask(config, files, supply, origin)
    if nameless := [path for path in files if is_nameless(path)]:
        first = nameless[0]
        terminal.say(
            f"{counted(len(nameless), 'file')} called like what is inside: taken for the slide "
            f"that the folder is called after ({first}: slide {slide_id_of(first)})"
        )
    specs: set[TileSpec] = set()
    kinds: set[str] = set()

    def work(path: Path) -> Outcome:
        tiles = _read_ours(path) if origin == HISTOFED else supply.read(path, origin)
        if config.to == HISTOFED:
            status = _write_ours(tiles, out, overwrite=config.overwrite)
        else:
            status = _write_theirs(tiles, out, config.to, path, overwrite=config.overwrite)
        if spec := tiles.record.recipe.spec:
            specs.add(spec)
        kinds.add("features" if isinstance(tiles, SlideFeatures) else "tiles")
        return _outcome(tiles, status)

    table = out / "slides.csv"
    outcomes = _each_file(files, work, table=table)
    if len(specs) > 1 and config.to == HISTOFED:
        mpps = sorted(spec.mpp for spec in specs)
        terminal.say(
            f"{len(specs)} kinds of tiles, at {mpps[0]:.4g} to {mpps[-1]:.4g} microns per pixel: "
            "training wants one. tile_mpp=... takes those within 10% of it as one."
        )
    return close(
        "convert", outcomes, folder=out, table=table, following=_following(config, out, kinds)
    )


def _each_file(
    files: Sequence[Path], work: Callable[[Path], Outcome], *, table: Path
) -> list[Outcome]:
    """Do ``work`` on every file, go on past a bad one, and write the table of outcomes."""
    outcomes = []
    with terminal.stage("Convert", len(files), unit="slides") as step:
        for path in files:
            slide_id, started = slide_id_of(path), time.monotonic()
            try:
                outcome = work(path)
            except (SlideError, StoreError, OSError) as error:
                reason = f"{type(error).__name__}: {error}"
                outcome = Outcome(slide_id=slide_id, status="failed", reason=reason)
            outcomes.append(replace(outcome, seconds=round(time.monotonic() - started, 2)))
            step(note=slide_id)
    write_outcomes(table, outcomes)
    return outcomes


def _read_ours(path: Path) -> SlideFeatures | SlideTiles:
    kind = detect(path)
    if kind == "histofed/features":
        return FeatureStore(path.parent).read(path.stem)
    if kind == "histofed/tiles":
        return TileStore(path.parent).read(path.stem)
    msg = f"{path}: this is a file of {kind}, not of ours; convert it apart"
    raise StoreError(msg)


def _write_ours(tiles: SlideFeatures | SlideTiles, out: Path, *, overwrite: bool) -> str:
    """Write one slide into our stores, unless an earlier run did; return its status."""
    record = tiles.record
    store = FeatureStore(out / "features"), TileStore(out / "tiles")
    mine = store[0] if isinstance(tiles, SlideFeatures) else store[1]
    found, path = mine.digest(record.slide_id), mine.path(record.slide_id)
    if found is not None:
        check_same(
            path,
            found=found,
            wanted=record.digest,
            overwrite=overwrite,
            option="out",
            records=lambda: (mine.read(record.slide_id).record, record),
        )
    if found == record.digest:
        return "kept"
    if isinstance(tiles, SlideFeatures):
        store[0].write(tiles)
    else:
        store[1].write(tiles)
    return "done"


def _write_theirs(
    tiles: SlideFeatures | SlideTiles, out: Path, to: str, source: Path, *, overwrite: bool
) -> str:
    """Write one slide in the folders of others, unless an earlier run did; return its status."""
    record, features = tiles.record, isinstance(tiles, SlideFeatures)
    paths = WRITERS[to].targets(out, record, features=features)
    tensor = out / "pt_files" / f"{record.slide_id}.pt" if to == "clam" and features else None
    if source.resolve() in [path.resolve() for path in paths]:
        msg = f"{source} would be replaced by its own conversion; name another folder (out=...)"
        raise StoreError(msg)
    found = {path: exported_digest(path) for path in paths}
    if tensor and tensor.exists() and found[paths[-1]] is None:
        found[tensor] = ""  # a tensor says nothing of itself: without our file beside it, not ours
    for path, digest in found.items():
        if digest is not None:
            wanted = record.digest
            check_same(path, found=digest, wanted=wanted, overwrite=overwrite, option="out")
    whole = all(digest == record.digest for digest in found.values())
    if whole and (tensor is None or tensor.exists()):
        return "kept"
    WRITERS[to].write(out, tiles)
    if tensor and isinstance(tiles, SlideFeatures):
        _write_tensor(tensor, tiles)
    return "done"


def _write_tensor(path: Path, slide: SlideFeatures) -> None:
    """Write the bare tensor that CLAM trains from."""
    import torch

    with atomic_path(path) as temporary:
        torch.save(torch.from_numpy(slide.features_ND).float(), temporary)


def _outcome(tiles: SlideFeatures | SlideTiles, status: str) -> Outcome:
    record = tiles.record
    n_tiles = len(tiles.features_ND if isinstance(tiles, SlideFeatures) else tiles.coords_N2)
    return Outcome(
        slide_id=record.slide_id,
        status=status,
        n_tiles=n_tiles,
        width_px0=record.width_px0 or 0,
        height_px0=record.height_px0 or 0,
        mpp=record.mpp or 0.0,
    )


def _following(config: ConvertConfig, out: Path, kinds: set[str]) -> str:
    if config.to != HISTOFED or not kinds:
        return ""  # what comes next is theirs, or the failures
    if "features" not in kinds:
        source = f"cohort={config.cohort}" if config.cohort else "slides=SLIDE_OR_FOLDER"
        return f"histofed extract {source} tiles={out / 'tiles'}"
    cohort = config.cohort or "TABLE"
    return f"histofed train cohort={cohort} features={out / 'features'} cancer=... task=..."
