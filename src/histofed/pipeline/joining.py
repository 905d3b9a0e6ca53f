"""What a hospital is told before it joins: what could never work is named at once."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.core.words import counted
from histofed.errors import CohortError, ConfigError
from histofed.io.atomic import naming_output
from histofed.io.tables import read_cohort
from histofed.pipeline.asking import task_of
from histofed.pipeline.study import absolute

if TYPE_CHECKING:
    from histofed.pipeline.schema import TrainConfig
    from histofed.pipeline.study import Study

COMMITTED = ("federated", "memory")
"""Where a hospital's part in a run lies, once there is one."""


def check_site(config: TrainConfig, site: str) -> None:
    """Refuse a table with rows of others, before its features are read.

    Raises
    ------
    CohortError
        Column ``site`` is not the name in the certificate in every row.
    """
    found = read_cohort(Path(config.cohort), task_of(config.task)).sites
    if set(found) != {site}:
        msg = (
            f"{config.cohort}: column site must be {site} in every row, as in the certificate, "
            f"found {', '.join(found)}; give a table of this hospital's patients only"
        )
        raise CohortError(msg)


def check_enough(study: Study, site: str, *, fewest: int) -> None:
    """Refuse a hospital that its own rule would never let send.

    Raises
    ------
    ConfigError
        No fold has as many patients to train on as ``min_patients``.
    """
    site_of = study.cohort.site_of
    most = max(sum(site_of[patient] == site for patient in fold.train) for fold in study.folds)
    if most < fewest:
        msg = (
            f"min_patients={fewest}: what was trained on fewer patients does not leave, and here "
            f"no fold trains on more than {counted(most, 'patient')}, so this hospital could "
            f"never send; give min_patients={most} or less, or more patients"
        )
        raise ConfigError(msg)


def take_folder(study: Study) -> str:
    """Start the run folder, or go on in the one that holds this very run.

    An earlier try of which nothing was committed is replaced.

    Returns
    -------
    What to say of an earlier try; nothing where there was none.

    Raises
    ------
    ConfigError
        It holds another run.
    OutputUnwritable
        It cannot be made.
    """
    run = study.run
    if not run.results():
        with naming_output(run.path):
            study.start()
        return ""
    began = (run.path / "run.json").exists()
    committed = any((run.path / name).exists() for name in COMMITTED)
    if began and run.read()["config"] == absolute(asdict(study.config)):
        if not committed:
            study.start()  # the command that makes the models is the one on record
        return ""
    if not began or committed:
        msg = (
            f"run={run.path} holds another run, or the same with other options; name another "
            "run=..., or start the command as it was to go on"
        )
        raise ConfigError(msg)
    study.start()
    return f"{run.path}: an earlier try with other options had come to no round; it is replaced"
