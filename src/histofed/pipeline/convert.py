"""``histofed convert``: files of others into ours, ours into theirs, bag tables into a cohort."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from histofed.errors import ConfigError
from histofed.io.interop import HISTOFED, read_bag_csv
from histofed.io.store import FeatureStore, Recipe, Record, SlideFeatures
from histofed.io.tables import COHORT_COLUMNS, write_rows
from histofed.pipeline import interop, terminal
from histofed.pipeline.interop_options import SUPPLIED

if TYPE_CHECKING:
    from histofed.pipeline.schema_data import ConvertConfig


def run(config: ConvertConfig) -> int:
    """Convert; return the exit code."""
    is_table = config.format == "auto" and Path(config.source).suffix.lower() == ".csv"
    return _bags(config) if is_table or config.format == "bags" else interop.run(config)


def _bags(config: ConvertConfig) -> int:
    """Convert a bag table."""
    given = [name for name in SUPPLIED if getattr(config, name) is not None]
    if given or config.to != HISTOFED:
        msg = f"{given[0] if given else 'to'}=... is for files of tiles; bags of a table have no "
        msg += "positions: leave it out"
        raise ConfigError(msg)
    if config.sites < 1:
        msg = f"sites (simulated hospitals) must be at least 1, got {config.sites}"
        raise ConfigError(msg)
    source, out = Path(config.source), Path(config.out)
    if (out / "cohort.csv").exists() and not config.overwrite:
        msg = f"{out / 'cohort.csv'} is there already; name another folder (out=...) or replace it "
        msg += "(overwrite=true)"
        raise ConfigError(msg)
    bags = read_bag_csv(source)
    name = source.stem
    store = FeatureStore(out / "features")
    recipe = Recipe(spec=None, encoder=name)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    sites = _deal({bag: label for bag, (label, _) in bags.items()}, config.sites, config.seed)
    rows = []
    with terminal.stage("Bags", len(bags), unit="bags") as step:
        for bag, (label, features) in bags.items():
            bag_id = f"{name}-{bag}"
            record = Record(
                recipe=recipe,
                slide_id=bag_id,
                slide_digest=digest,
                mpp=None,
                width_px0=None,
                height_px0=None,
            )
            store.write(SlideFeatures(record=record, features_ND=features, coords_N2=None))
            rows.append((bag_id, bag_id, sites[bag], "", label))
            step()
    table = out / "cohort.csv"
    write_rows(table, (*COHORT_COLUMNS, config.column), rows)
    facts = {"bags": str(len(bags)), "table": str(table), "features": str(store.folder)}
    command = f"histofed federate cohort={table} features={store.folder} cancer=... task=..."
    terminal.closing("convert", facts, next_command=command)
    return 0


def _deal(labels: dict[str, int], n_sites: int, seed: int) -> dict[str, str]:
    """Deal the bags to simulated hospitals, each label in turn, shuffled."""
    random = np.random.default_rng(seed)
    dealt: dict[str, str] = {}
    for label in sorted(set(labels.values())):
        for bag in random.permutation([bag for bag, found in labels.items() if found == label]):
            dealt[str(bag)] = f"site-{len(dealt) % n_sites + 1}"
    return dealt
