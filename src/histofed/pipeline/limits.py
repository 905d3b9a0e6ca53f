"""What values an option may have, beyond its type: one table, checked before any work."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from histofed.core.labels.barcodes import SLIDE_TYPES
from histofed.core.quality import FLAGS
from histofed.core.tiling import MAX_MPP, MIN_MPP
from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Range(NamedTuple):
    """Numbers from ``low`` to ``high``, both included unless ``above`` excludes ``low``.

    ``beyond`` says what a number out of the limits probably is.
    """

    low: float
    high: float = float("inf")
    above: bool = False
    beyond: str = ""

    def holds(self, value: Any) -> bool:
        """Whether the value, or every one of a list, is in the range."""
        return all(self._holds(each) for each in (value if isinstance(value, list) else [value]))

    def _holds(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        return bool((self.low < value if self.above else self.low <= value) and value <= self.high)

    def __str__(self) -> str:
        if self.high == float("inf"):
            return f"{'more than' if self.above else 'at least'} {self.low:g}"
        limits = f"{'more than ' if self.above else ''}{self.low:g} to {self.high:g}"
        return f"{limits}: {self.beyond}" if self.beyond else limits


class OneOf(NamedTuple):
    """One of a few words."""

    words: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        """Whether every word is among them."""
        return all(word in self.words for word in (value if isinstance(value, list) else [value]))

    def __str__(self) -> str:
        return f"one of {', '.join(self.words)}"


class Head(NamedTuple):
    """The name of a score per tile; which of them a run has depends on its task."""

    def holds(self, value: Any) -> bool:
        """Whether scores could have the name."""
        return value in ("attention", "evidence") or str(value).startswith("tile_")

    def __str__(self) -> str:
        return "attention, evidence, or the name of a score that begins with tile_"


class Named(NamedTuple):
    """Any text but the empty one."""

    def holds(self, value: Any) -> bool:
        """Whether there is any text."""
        return bool(str(value).strip())

    def __str__(self) -> str:
        return "a name"


COUNT = Range(1)
ABOVE_0 = Range(0, above=True)
SEED = Range(0, 2**32 - 1)

LIMITS: Mapping[str, Range | OneOf | Head | Named] = {
    **dict.fromkeys(
        ("run", "work", "features", "out", "source", "cohort", "slides", "mpp_table", "tiles"),
        Named(),
    ),
    **dict.fromkeys(("kit", "host"), Named()),
    **dict.fromkeys(("min_patients", "min_steps"), COUNT),
    **dict.fromkeys(("deadline_s", "grace_s", "gather_s"), ABOVE_0),
    "manifest": Named(),
    "token": Named(),
    "slide_type": OneOf(("diagnostic", "tissue", "both")),
    "connections": Range(1, 32, beyond="a portal that others use too gives no more"),
    "attempts": COUNT,
    "timeout_s": Range(0, 3600, above=True),
    "seed": SEED,
    "batch_size": Range(1, 4096, beyond="more make nothing faster and fill the memory"),
    "reader": OneOf(("auto", "openslide")),
    "read_threads": Range(1, 256),
    "dim": COUNT,
    "precision": OneOf(("auto", "fp32", "fp16", "bf16")),
    "engine": OneOf(("auto", "eager", "folded", "compile")),
    "n_resamples": Range(100),
    "sensitivity": Range(0, 1, above=True),
    "permutations": Range(0),
    "confounder": Named(),
    "pictures": Range(0),
    "head": Head(),
    "masks_mpp": ABOVE_0,
    "mpp": Range(MIN_MPP, MAX_MPP, beyond="what no optics give is probably not microns per pixel"),
    "port": Range(0, 65535),
    "sites": COUNT,
    "format": OneOf(("auto", "bags", "histofed", "trident", "clam", "stamp", "features_only")),
    "to": OneOf(("histofed", "trident", "clam", "stamp")),
    "tile_px": COUNT,
    "tile_px0": ABOVE_0,
    "tile_mpp": ABOVE_0,
    "overlap_px": Range(0),
    "coords_unit": OneOf(("px0", "um", "stamp_v1")),
    "encoder_name": Named(),
    "slide_types": OneOf(SLIDE_TYPES),
    "compare": OneOf(("local", "pooled", "baseline")),
    "tiling.size_px": Range(16),
    "tiling.mpp": ABOVE_0,
    "tiling.overlap_px": Range(0),
    "tiling.min_tissue": Range(0, 1),
    "tiling.min_tissue_um2": Range(0),
    "tissue.mpp": Range(0, 100, above=True),
    "tissue.min_saturation": Range(0, 1),
    "tissue.min_brightness": Range(0, 1),
    "tissue.min_area_um2": Range(0),
    "tissue.max_hole_um2": Range(0),
    "stain.white": Range(1, 255),
    "stain.least_density": Range(0.01, 1),
    "stain.n_tiles": Range(1, 1000),
    "stain.angle_percentile": Range(0, 25),
    "stain.most_percentile": Range(50, 100),
    "sharing.stale_after_s": ABOVE_0,
    "sharing.attempts": COUNT,
    "tissue.closing_um": Range(0, 1000),
    "quality.drop": OneOf(FLAGS),
    "quality.mpp": Range(0, 20, above=True),
    **dict.fromkeys(("quality.max_blur_um", "quality.max_density"), ABOVE_0),
    **dict.fromkeys(
        (f"quality.max_{name}" for name in ("ink", "dark", "fat", "off_stain", "unreadable")),
        Range(0, 1, above=True),
    ),
    "splits.n_folds": Range(3),
    "splits.seed": SEED,
    "trainer.max_epochs": COUNT,
    "trainer.patience": COUNT,
    "trainer.learning_rate": ABOVE_0,
    "trainer.weight_decay": Range(0),
    "trainer.batch_size": COUNT,
    "trainer.tiles_per_bag": COUNT,
    "trainer.balance": OneOf(("none", "weights", "sampling")),
    "trainer.survival_loss": OneOf(("hazard", "cox")),
    "splits.inner_folds": Range(3),
    "splits.scheme": OneOf(("patients", "sites", "file")),
    "clinical.fusion": OneOf(("concat", "gated")),
    "trainer.accelerator": OneOf(("auto", "cpu", "gpu", "mps")),
    # Weights stay in 32 bits: hospitals average them.
    "trainer.precision": OneOf(("32-true", "16-mixed", "bf16-mixed")),
    "federation.rounds": COUNT,
    "federation.epochs_per_round": COUNT,
    "federation.steps_per_round": COUNT,
    "federation.fedprox_mu": Range(0),
    "federation.min_sites": COUNT,
    "federation.max_change": Range(1),
    "federation.min_patients": COUNT,
    "federation.min_steps": COUNT,
    **dict.fromkeys(
        (f"aggregator.{name}_dim" for name in ("hidden", "attention", "embedding")),
        Range(1, 65536),
    ),
    **dict.fromkeys(
        (
            "aggregator.n_channels",
            "aggregator.n_extreme",
            "aggregator.n_chosen",
            "aggregator.n_pseudo_bags",
            "aggregator.n_masked_from",
            "aggregator.n_groups",
            "aggregator.n_concepts",
            "aggregator.n_layers",
            "aggregator.n_heads",
            "aggregator.n_landmarks",
            "aggregator.n_top",
        ),
        COUNT,
    ),
    "aggregator.n_branches": Range(2),
    "aggregator.masked_share": Range(0, 0.99),
    **dict.fromkeys(
        (f"aggregator.{name}_weight" for name in ("instance", "first_tier", "branch", "diversity")),
        Range(0),
    ),
    "aggregator.dropout": Range(0, 0.99),
}
"""Full name of an option -> its limits. An option without limits is free within its type."""


def check_limits(config: DictConfig) -> None:
    """Check every option that has limits; None is left to the types.

    Raises
    ------
    ConfigError
        A value is out of its limits; both are named.
    """
    for name, limits in LIMITS.items():
        value = OmegaConf.select(config, name)
        if value is None:
            continue
        plain = list(value) if OmegaConf.is_list(value) else value
        if not limits.holds(plain):
            msg = f"{name} is {plain}; it must be {limits}"
            raise ConfigError(msg)
