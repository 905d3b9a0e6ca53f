"""The options of every verb, typed: a misspelt or impossible value fails before any work.

Defaults are in ``configs/``, where they can be read beside their meaning; here are names and types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class TilingConfig:
    """See `histofed.core.tiling.TileSpec`."""

    size_px: int = MISSING
    mpp: float = MISSING
    overlap_px: int = MISSING
    min_tissue: float = MISSING
    min_tissue_um2: float = MISSING


@dataclass
class QualityConfig:
    """See `histofed.extract.quality.QualitySpec`."""

    mpp: float = MISSING
    drop: list[str] = MISSING
    max_blur_um: float = MISSING
    max_ink: float = MISSING
    max_density: float = MISSING
    max_dark: float = MISSING
    max_fat: float = MISSING
    max_off_stain: float = MISSING
    max_unreadable: float = MISSING
    allow_off_stain: bool = MISSING


@dataclass
class CancerConfig:
    """Facts about one cancer; ``tissue`` is the choice of ``configs/tissue/`` that suits it."""

    name: str = MISSING
    title: str = MISSING
    cohorts: list[str] = field(default_factory=list)
    tasks: list[str] = MISSING
    tissue: str = "otsu"


@dataclass
class TaskConfig:
    """See `histofed.core.tasks`; ``sense`` is the clinical question in one sentence.

    Each kind of task takes some of the options; one that it does not take is refused.
    """

    name: str = MISSING
    kind: str = MISSING
    sense: str = MISSING
    missing: list[str] = field(default_factory=lambda: ["", "na", "nan", "unknown"])
    column: str | None = None
    columns: list[str] | None = None
    event_column: str | None = None
    classes: list[str] | None = None
    values: dict[str, list[str]] | None = None
    positive: list[str] | None = None
    negative: list[str] | None = None
    event: list[str] | None = None
    censored: list[str] | None = None
    times: list[float] | None = None
    unit: str | None = None


@dataclass
class SplitsConfig:
    """How patients are dealt into folds."""

    scheme: str = MISSING
    n_folds: int = MISSING
    inner_folds: int = MISSING
    seed: int = MISSING
    file: str | None = MISSING


@dataclass
class TrainerConfig:
    """How one model is fitted."""

    max_epochs: int = MISSING
    patience: int = MISSING
    learning_rate: float = MISSING
    weight_decay: float = MISSING
    batch_size: int = MISSING
    tiles_per_bag: int | None = MISSING
    balance: str = MISSING
    survival_loss: str = MISSING
    accelerator: str = MISSING
    precision: str = MISSING


@dataclass
class ClinicalConfig:
    """Clinical covariates beside the image."""

    columns: list[str] = MISSING
    fusion: str = MISSING
    words: list[str] = MISSING
    missing: list[str] = MISSING


@dataclass
class FederationConfig:
    """How the hospitals work together."""

    rounds: int = MISSING
    epochs_per_round: int = MISSING
    keep_optimizer: bool = MISSING
    min_sites: int = MISSING


@dataclass
class SharingConfig:
    """How processes that run the same command share its slides."""

    wait: bool = MISSING
    stale_after_s: float = MISSING
    attempts: int = MISSING


@dataclass
class TileConfig:
    """Options of ``histofed tile``."""

    slides: str | None = MISSING
    cohort: str | None = MISSING
    work: str = MISSING
    mpp: float | None = MISSING
    mpp_table: str | None = MISSING
    reader: str = MISSING
    overwrite: bool = MISSING
    tiling: TilingConfig = field(default_factory=TilingConfig)
    tissue: Any = MISSING
    quality: QualityConfig = field(default_factory=QualityConfig)
    cancer: CancerConfig | None = None
    sharing: SharingConfig = field(default_factory=SharingConfig)


@dataclass
class ExtractConfig(TileConfig):
    """Options of ``histofed extract``."""

    tiles: str | None = MISSING
    features: str = MISSING
    batch_size: int = MISSING
    read_threads: int = MISSING
    device: str = MISSING
    precision: str = MISSING
    engine: str = MISSING
    encoder: Any = MISSING
    stain: Any = MISSING


@dataclass
class EmbedConfig:
    """Options of ``histofed embed``."""

    features: str = MISSING
    out: str | None = MISSING
    overwrite: bool = MISSING
    slide_encoder: Any = MISSING


@dataclass
class TrainConfig:
    """Options of ``histofed train``."""

    cohort: str = MISSING
    work: str = MISSING
    features: str = MISSING
    run: str = MISSING
    overwrite: bool = MISSING
    seed: int = MISSING
    cancer: CancerConfig = field(default_factory=CancerConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    encoder: Any = MISSING
    aggregator: Any = MISSING
    splits: SplitsConfig = field(default_factory=SplitsConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    clinical: ClinicalConfig = field(default_factory=ClinicalConfig)
    choose: dict[str, list[Any]] | None = None


@dataclass
class FederateConfig(TrainConfig):
    """Options of ``histofed federate``."""

    compare: list[str] = MISSING
    strategy: Any = MISSING
    federation: FederationConfig = field(default_factory=FederationConfig)


@dataclass
class PredictConfig:
    """Options of ``histofed predict``."""

    run: str = MISSING
    arm: str | None = MISSING
    cohort: str = MISSING
    features: str = MISSING
    out: str = MISSING
    overwrite: bool = MISSING


@dataclass
class EvaluateConfig:
    """Options of ``histofed evaluate``."""

    run: str = MISSING
    n_resamples: int = MISSING
    seed: int = MISSING
    sensitivity: float | None = MISSING
    permutations: int = MISSING
    groups: list[str] = MISSING
    confounder: str | None = MISSING


@dataclass
class ExplainConfig:
    """Options of ``histofed explain``."""

    run: str = MISSING
    arm: str | None = MISSING
    head: str = MISSING
    pictures: int = MISSING
    masks: str | None = MISSING
    masks_mpp: float = MISSING


@dataclass
class ReviewConfig:
    """Options of ``histofed review``."""

    run: str = MISSING
    arm: str | None = MISSING
    host: str = MISSING
    port: int = MISSING


@dataclass
class ConvertConfig:
    """Options of ``histofed convert``."""

    source: str = MISSING
    out: str = MISSING
    format: str = MISSING
    to: str = MISSING
    cohort: str | None = MISSING
    mpp: float | None = MISSING
    tile_px: int | None = MISSING
    tile_px0: float | None = MISSING
    tile_mpp: float | None = MISSING
    overlap_px: int | None = MISSING
    coords_unit: str | None = MISSING
    encoder_name: str | None = MISSING
    column: str = MISSING
    sites: int = MISSING
    overwrite: bool = MISSING
    seed: int = MISSING


@dataclass
class DemoConfig:
    """Options of ``histofed demo``."""

    run: str = MISSING
    seed: int = MISSING
    small: bool = MISSING


@dataclass
class EncodersConfig:
    """Options of ``histofed encoders``."""

    name: str | None = MISSING
    licence: str | None = MISSING
    dim: int | None = MISSING
    commercial: bool | None = MISSING
    gated: bool | None = MISSING
    mpp: float | None = MISSING
    built: bool | None = MISSING


SCHEMAS: dict[str, type[Any]] = {
    "tile": TileConfig,
    "extract": ExtractConfig,
    "embed": EmbedConfig,
    "encoders": EncodersConfig,
    "convert": ConvertConfig,
    "train": TrainConfig,
    "federate": FederateConfig,
    "predict": PredictConfig,
    "evaluate": EvaluateConfig,
    "explain": ExplainConfig,
    "review": ReviewConfig,
    "demo": DemoConfig,
}
