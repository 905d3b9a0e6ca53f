"""Options of clinical covariates -> what is known of each patient, and the numbers of a fold."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.clinical import covariates
from histofed.core.clinical_encoding import FAR, add_sums, encoding_of
from histofed.errors import ConfigError
from histofed.io.clinical import read_cells
from histofed.io.tables import COHORT_COLUMNS
from histofed.pipeline import terminal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from histofed.core.clinical import Covariates
    from histofed.core.clinical_encoding import Encoding, Value
    from histofed.core.cohort import Cohort
    from histofed.core.metrics.inputs import Floats
    from histofed.core.splits import Fold
    from histofed.core.tasks import Task
    from histofed.mil.bags import Bag
    from histofed.pipeline.schema_parts import ClinicalConfig
    from histofed.pipeline.study import Study

CLINICAL = "clinical"
"""Entry of a model's file that says how its covariates are encoded."""

NOT_CLINICAL = (*COHORT_COLUMNS, "mpp")


def covariates_of(
    config: ClinicalConfig, table: Path, cohort: Cohort, task: Task
) -> Covariates | None:
    """Return what the table says of each patient; None where no column was named.

    Raises
    ------
    ConfigError
        A column that is none of a patient's covariates, or named twice.
    CohortError
        As `read_cells` and `covariates`.
    """
    columns = list(config.columns)
    if strange := [name for name in config.words if name not in columns]:
        msg = f"clinical.words={strange}: name only columns of clinical.columns={columns}"
        raise ConfigError(msg)
    if not columns:
        return None
    if answers := [name for name in columns if name in task.columns]:
        msg = f"clinical.columns={columns}: {', '.join(answers)} answers task {task.name}; what is "
        msg += "to be predicted cannot be known before"
        raise ConfigError(msg)
    if others := [name for name in columns if name in NOT_CLINICAL]:
        msg = f"clinical.columns={columns}: {', '.join(others)} names slides and hospitals, and is "
        msg += "no covariate of a patient"
        raise ConfigError(msg)
    if len(set(columns)) < len(columns):
        msg = f"clinical.columns={columns} names a column twice"
        raise ConfigError(msg)
    cells_of = read_cells(table, columns, cohort.patients)
    return covariates(columns, cells_of, words=config.words, missing=config.missing)


def with_covariates(study: Study, fold: Fold) -> Study:
    """Return the study with every bag's covariates, encoded with the fold's training patients."""
    known = study.covariates
    assert known is not None  # asked for only where columns were named
    encoding = learned(study, fold.train)
    return replace(study, bags=encoded(study.bags, encoding, known), encoding=encoding)


def say_new_words(study: Study, fold: Fold) -> None:
    """Say what of a fold's other patients is unlike all training patients."""
    if study.encoding and study.covariates:
        values_of = study.covariates.values_of
        others = {patient: values_of[patient] for patient in (*fold.select, *fold.test)}
        _say_new(study.encoding, others, where=f"fold {fold.number}")


def _say_new(encoding: Encoding, values_of: Mapping[str, Sequence[Value]], *, where: str) -> None:
    for word in encoding.new_words(values_of):
        terminal.say(f"{where}: no patient trained on has {word}; it counts as the mean patient's")
    for number in encoding.far_numbers(values_of):
        said = (
            f"{where}: {number} is more than {FAR} standard deviations from the patients trained "
        )
        terminal.say(said + "on; is it in their unit, and no word for 'not known'?")


def learned(study: Study, patients: Collection[str]) -> Encoding:
    """Return the encoding that some patients teach: from sums of each hospital, added up."""
    known, site_of = study.covariates, study.cohort.site_of
    assert known is not None
    members: dict[str, list[str]] = {}
    for patient in patients:
        members.setdefault(site_of[patient], []).append(patient)
    return known.encoding(add_sums([known.sums(members[site]) for site in sorted(members)]))


def encoded(bags: Mapping[str, Bag], encoding: Encoding, known: Covariates) -> dict[str, Bag]:
    """Return bags with their patients' covariates as numbers."""
    return {
        patient: replace(bag, clinical_F=encoding.encode(known.values_of[patient]))
        for patient, bag in bags.items()
    }


def encoded_rows(study: Study, encoding: Encoding, patients: Sequence[str]) -> Floats:
    """Return the covariates of some patients as numbers, ``(P, F)``."""
    known = study.covariates
    assert known is not None
    return np.array([encoding.encode(known.values_of[patient]) for patient in patients])


def encoding_in(weights: Path) -> Encoding | None:
    """Return how the covariates of a stored model are encoded; None for a model without any."""
    from histofed.mil.weights import read_about

    about = read_about(weights)
    return encoding_of(json.loads(about[CLINICAL])) if CLINICAL in about else None


def bags_for(
    weights: Path, bags: Mapping[str, Bag], config: ClinicalConfig, table: Path
) -> Mapping[str, Bag]:
    """Return bags as a stored model takes them: with covariates of a cohort table, or as they are.

    Raises
    ------
    CohortError
        The table lacks a column or a patient, or holds words where numbers were.
    """
    encoding = encoding_in(weights)
    if encoding is None:
        return bags
    cells_of = read_cells(table, config.columns, bags.keys())
    known = covariates(config.columns, cells_of, missing=config.missing, like=encoding)
    _say_new(encoding, known.values_of, where=weights.parent.name.replace("-", " "))
    return encoded(bags, encoding, known)
