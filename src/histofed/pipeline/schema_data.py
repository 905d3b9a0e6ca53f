"""The options of the verbs that make slides, features and cohorts (`histofed.pipeline.schema`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from histofed.pipeline.schema_parts import (
    CancerConfig,
    QualityConfig,
    SharingConfig,
    TaskConfig,
    TilingConfig,
)


@dataclass
class DownloadConfig:
    """Options of ``histofed download``."""

    manifest: str | None = MISSING
    project: Any = MISSING
    slide_type: str = MISSING
    out: str = MISSING
    dry_run: bool = MISSING
    connections: int = MISSING
    attempts: int = MISSING
    timeout_s: float = MISSING
    token: str | None = MISSING
    verify: bool = MISSING
    overwrite: bool = MISSING
    portal: str = MISSING


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
class EncodersConfig:
    """Options of ``histofed encoders``."""

    name: str | None = MISSING
    licence: str | None = MISSING
    dim: int | None = MISSING
    commercial: bool | None = MISSING
    gated: bool | None = MISSING
    mpp: float | None = MISSING
    built: bool | None = MISSING


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
class CohortColumns:
    """Names that a column may have, in the order in which they are looked for."""

    patient: list[str] = MISSING
    slide: list[str] = MISSING
    file: list[str] = MISSING
    site: list[str] = MISSING
    project: list[str] = MISSING
    slide_type: list[str] = MISSING
    slide_date: list[str] = MISSING
    treatment_start: list[str] = MISSING
    mpp: list[str] = MISSING


@dataclass
class CohortConfig:
    """Options of ``histofed cohort``."""

    clinical: str | None = MISSING
    slides: str | None = MISSING
    study: str | None = MISSING
    mutations: str | None = MISSING
    copy_number: str | None = MISSING
    sequenced: str | None = MISSING
    panels: str | None = MISSING
    out: str = MISSING
    overwrite: bool = MISSING
    by: str | None = MISSING
    site: str | None = MISSING
    where: dict[str, list[str]] | None = None
    sample_types: list[str] = MISSING
    slide_types: list[str] = MISSING
    slides_root: str | None = MISSING
    mpp: float | None = MISSING
    columns: CohortColumns = field(default_factory=CohortColumns)
    cancer: CancerConfig = field(default_factory=CancerConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
