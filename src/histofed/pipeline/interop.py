"""Feature files of others into ours, and ours into theirs: the larger part of ``convert``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.errors import ConfigError, SlideError, StoreError
from histofed.io.atomic import atomic_path
from histofed.io.interop import (
    HISTOFED,
    READERS,
    WRITERS,
    Supplied,
    detect,
    exported_digest,
    find_files,
    is_nameless,
    slide_id_of,
)
from histofed.io.readers import open_slide
from histofed.io.store import FeatureStore, SlideFeatures, SlideTiles, TileStore
from histofed.io.tables import read_slides
from histofed.pipeline import terminal
from histofed.pipeline.slide_table import write_outcomes
from histofed.pipeline.slides import Outcome, check_same, close, slide_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histofed.core.tiling import TileSpec
    from histofed.pipeline.schema import ConvertConfig

SUPPLIED = (
    "cohort",
    "mpp",
    "tile_px",
    "tile_px0",
    "tile_mpp",
    "overlap_px",
    "coords_unit",
    "encoder_name",
)
"""Options that say what files of others do not; ours say it all."""


def run(config: ConvertConfig) -> int:
    """Convert every file; return the exit code."""
    source, out = Path(config.source), Path(config.out)
    files = find_files(source)
    if out.resolve().is_relative_to(source.resolve()):
        msg = f"out={out} is inside of source={source}; the next conversion would take its own "
        msg += "output for a source: name another folder"
        raise ConfigError(msg)
    origin = _origin(config, files)
    if nameless := [path for path in files if is_nameless(path)]:
        first = nameless[0]
        terminal.say(
            f"{len(nameless)} files are called like what they hold; each is taken for the slide "
            f"that its folder is called after ({first}: slide {slide_id_of(first)})"
        )
    supply = _Supply(config)
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


class _Supply:
    """What the user supplies, slide by slide."""

    def __init__(self, config: ConvertConfig) -> None:
        self._config = config
        slides = [] if config.cohort is None else read_slides(Path(config.cohort))
        self._slides = {slide.slide_id: slide for slide in slides}

    def read(self, path: Path, origin: str) -> SlideFeatures | SlideTiles:
        """Read a file of others with what is supplied for its slide."""
        config = self._config
        mpp, size_px0 = self._scan(slide_id_of(path)) if origin != "features_only" else (None, None)
        supplied = Supplied(
            mpp=mpp,
            size_px0=size_px0,
            tile_px=config.tile_px,
            tile_px0=config.tile_px0,
            tile_mpp=config.tile_mpp,
            overlap_px=config.overlap_px,
            coords_unit=config.coords_unit,
            encoder=config.encoder_name,
        )
        return READERS[origin](path, supplied).ours(tile_mpp=config.tile_mpp)

    def _scan(self, slide_id: str) -> tuple[float | None, tuple[int, int] | None]:
        """Return microns per pixel, of the table, else its slide, else the option; and the size."""
        slide = self._slides.get(slide_id)
        if slide is None or (slide.mpp is None and slide.path is None):
            return self._config.mpp, None
        if slide.mpp is not None:
            return slide.mpp, None
        with open_slide(slide_path(slide), fallback_mpp=self._config.mpp) as reader:
            info = reader.info
            return info.mpp, (info.width_px0, info.height_px0)


def _origin(config: ConvertConfig, files: list[Path]) -> str:
    """Return the one format of all files.

    Raises
    ------
    ConfigError
        They have several, or the conversion would change nothing.
    StoreError
        No file has a format that is read.
    """
    found: dict[str, Path] = {}
    refused: list[StoreError] = []
    if config.format == "auto":
        for path in files:
            try:
                found.setdefault(detect(path).partition("/")[0], path)
            except StoreError as error:  # said again when its turn comes, if others can be read
                refused.append(error)
    else:
        found[config.format] = files[0]
    if not found:
        raise refused[0]
    if len(found) > 1:
        each = ", ".join(f"{name} ({path})" for name, path in sorted(found.items()))
        msg = f"source={config.source} holds files of several formats: {each}; name the folder of "
        msg += "one (source=...), or the format (format=...): the others are then named as failed"
        raise ConfigError(msg)
    (origin,) = found
    _check_options(config, origin)
    return origin


def _check_options(config: ConvertConfig, origin: str) -> None:
    """Refuse options that cannot be meant, and those without which every file would fail."""
    given = [name for name in SUPPLIED if getattr(config, name) is not None]
    places = [name for name in given if name not in ("cohort", "encoder_name")]
    if origin == HISTOFED and config.to == HISTOFED:
        msg = f"source={config.source} holds our own files; say what they are to become with "
        msg += f"to={'|'.join(WRITERS)}"
    elif origin == HISTOFED and given:
        msg = f"{given[0]}=... was given, but our own files say it themselves; leave it out"
    elif origin == "features_only" and places:
        msg = f"{places[0]}=... was given, but format=features_only gives positions up; leave one "
        msg += "of them out"
    elif origin not in (HISTOFED, "features_only") and config.cohort is None and config.mpp is None:
        msg = (
            f"files of {origin} do not hold the slides' microns per pixel, so the size of their "
            "tiles is not known; give cohort=TABLE with the slides or their mpp, or mpp=..., or "
            "convert the features without positions (format=features_only)"
        )
    else:
        return
    raise ConfigError(msg)


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
        check_same(path, found=found, wanted=record.digest, overwrite=overwrite, option="out")
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
        return f"histofed convert source={out / 'tiles'} out=... to={'|'.join(WRITERS)}"
    cohort = config.cohort or "TABLE"
    return f"histofed train cohort={cohort} features={out / 'features'} cancer=... task=..."
