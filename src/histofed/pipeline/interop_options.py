"""What ``convert`` must know before it touches a slide: one format, and options that suffice."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.core.words import counted
from histofed.errors import ConfigError, SlideError, StoreError
from histofed.io.interop import (
    HISTOFED,
    NEEDS,
    READERS,
    WRITERS,
    Supplied,
    detect,
    holds,
    listed,
    questions,
    slide_id_of,
)
from histofed.io.readers import open_slide
from histofed.io.tables import read_slides
from histofed.pipeline.slides import slide_path

if TYPE_CHECKING:
    from histofed.io.interop import Question
    from histofed.io.store import SlideFeatures, SlideTiles
    from histofed.pipeline.schema_data import ConvertConfig

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


class Supply:
    """What the user supplies, slide by slide."""

    def __init__(self, config: ConvertConfig) -> None:
        self._config = config
        slides = [] if config.cohort is None else read_slides(Path(config.cohort))
        self._slides = {slide.slide_id: slide for slide in slides}

    def read(self, path: Path, origin: str) -> SlideFeatures | SlideTiles:
        """Read a file of others with what is supplied for its slide."""
        mpp, size_px0 = self._scan(slide_id_of(path)) if origin != "features_only" else (None, None)
        supplied = self.options(mpp=mpp, size_px0=size_px0)
        return READERS[origin](path, supplied).ours(tile_mpp=self._config.tile_mpp)

    def options(self, *, mpp: float | None, size_px0: tuple[int, int] | None = None) -> Supplied:
        """Return what the options say, with what is known of one slide."""
        config = self._config
        return Supplied(
            mpp=mpp,
            size_px0=size_px0,
            tile_px=config.tile_px,
            tile_px0=config.tile_px0,
            tile_mpp=config.tile_mpp,
            overlap_px=config.overlap_px,
            coords_unit=config.coords_unit,
            encoder=config.encoder_name,
        )

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


def origin_of(config: ConvertConfig, files: list[Path]) -> str:
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
    """Refuse options that cannot be meant."""
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
    else:
        return
    raise ConfigError(msg)


def check_target(config: ConvertConfig, files: list[Path], origin: str) -> None:
    """Refuse to write a format that none of the files can become.

    Raises
    ------
    ConfigError
        It needs features or positions, which no file holds.
    """
    if config.to == HISTOFED:
        return
    needed, found = NEEDS[config.to], set[str]()
    for path in files:
        try:
            has = holds(path) - ({"positions"} if origin == "features_only" else set())
        except StoreError:
            continue  # said when its turn comes
        if needed <= has:
            return
        found |= has
    if not found:
        return
    lacking = " and ".join(sorted(needed - found)) or "both in one file"
    remedy = "extract or convert features of these tiles, and name their folder (source=...)"
    if "features" in found:
        remedy = "name files with positions (source=...), and leave format=features_only out"
    msg = f"to={config.to} needs {' and '.join(sorted(needed))}, and source={config.source} holds "
    msg += f"{' and '.join(sorted(found))} ({counted(len(files), 'file')}, none with "
    msg += f"{lacking}); {remedy}"
    raise ConfigError(msg)


def ask(config: ConvertConfig, files: list[Path], supply: Supply, origin: str) -> None:
    """Ask for all that the first file that can be read leaves open, before any work.

    Raises
    ------
    ConfigError
        Something is open; a whole command shows how it is said.
    """
    for path in files:
        try:
            found = questions(path, supply.options(mpp=config.mpp), origin=origin)
        except (SlideError, StoreError):
            continue  # said when its turn comes
        # Slides without a resolution in the table are named one by one.
        asked = [each for each in found if each.option != "mpp" or config.cohort is None]
        if asked:
            msg = f"{path}: it does not say {listed(asked)}, and nothing is guessed; say it as "
            msg += f"here, with the values of these files:\n  {_command(config, asked)}"
            if origin != "features_only":
                msg += "\nor convert the features without positions: format=features_only "
                msg += "encoder_name=..."
            raise ConfigError(msg)
        return


def _command(config: ConvertConfig, asked: list[Question]) -> str:
    """Return the command that was given, with an answer to every question."""
    names = ("source", "out", "format", "to", "overwrite", *SUPPLIED)
    default = {"format": "auto", "to": HISTOFED, "overwrite": False}
    given = {name: getattr(config, name) for name in names}
    said = [
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in given.items()
        if value is not None and value != default.get(name)
    ]
    return shlex.join(["histofed", "convert", *said, *(each.answer for each in asked)])
