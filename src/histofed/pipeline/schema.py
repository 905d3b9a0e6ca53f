"""The options of every verb, typed: a misspelt or impossible value fails before any work.

Defaults are in ``configs/``, where they can be read beside their meaning; here are names and types:
of what trains, federates, judges and shows. The others are in `schema_data` and `schema_parts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from histofed.pipeline.schema_data import (
    CohortConfig,
    ConvertConfig,
    DownloadConfig,
    EmbedConfig,
    EncodersConfig,
    ExtractConfig,
    TileConfig,
)
from histofed.pipeline.schema_parts import (
    CancerConfig,
    ClinicalConfig,
    FederationConfig,
    SplitsConfig,
    TaskConfig,
    TrainerConfig,
)


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
class FederateProvisionConfig(FederateConfig):
    """Options of ``histofed federate provision``."""

    host: str = MISSING
    port: int = MISSING
    hospitals: list[str] = MISSING
    out: str = MISSING


@dataclass
class FederateServeConfig:
    """Options of ``histofed federate serve``."""

    kit: str = MISSING
    run: str = MISSING
    deadline_s: float = MISSING
    grace_s: float = MISSING
    gather_s: float = MISSING


@dataclass
class FederateJoinConfig:
    """Options of ``histofed federate join``."""

    kit: str = MISSING
    cohort: str = MISSING
    features: str = MISSING
    splits_file: str | None = MISSING
    min_patients: int = MISSING
    min_steps: int = MISSING
    give_up_s: float = MISSING
    work: str = MISSING
    run: str = MISSING


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
    prefix: str = MISSING
    access: str = MISSING
    proxies: list[str] = MISSING
    reviews: str | None = MISSING


@dataclass
class ReviewInviteConfig:
    """Options of ``histofed review invite``."""

    run: str = MISSING
    reviewer: str = MISSING
    valid_days: int = MISSING
    reviews: str | None = MISSING


@dataclass
class DemoConfig:
    """Options of ``histofed demo``."""

    run: str = MISSING
    seed: int = MISSING
    small: bool = MISSING


SCHEMAS: dict[str, type[Any]] = {
    "download": DownloadConfig,
    "tile": TileConfig,
    "extract": ExtractConfig,
    "embed": EmbedConfig,
    "encoders": EncodersConfig,
    "convert": ConvertConfig,
    "cohort": CohortConfig,
    "train": TrainConfig,
    "federate": FederateConfig,
    "federate_provision": FederateProvisionConfig,
    "federate_serve": FederateServeConfig,
    "federate_join": FederateJoinConfig,
    "predict": PredictConfig,
    "evaluate": EvaluateConfig,
    "explain": ExplainConfig,
    "review": ReviewConfig,
    "review_invite": ReviewInviteConfig,
    "demo": DemoConfig,
}
