"""``histofed cohort``: tables of patients, slides and genes into a cohort with labels.

Everything is read and checked before anything is written, so a row at fault leaves no file behind.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import histofed
from histofed.core.labels.times import TimeRule
from histofed.core.words import counted
from histofed.errors import CohortError, ConfigError
from histofed.io.atomic import atomic_text, file_digest
from histofed.io.tables import COHORT_COLUMNS, read_cohort, write_rows
from histofed.pipeline import cohort_audit, terminal
from histofed.pipeline.asking import task_of
from histofed.pipeline.cohort_build import build
from histofed.pipeline.cohort_genomics import read_genomics
from histofed.pipeline.cohort_sources import available, files_of, read_patients
from histofed.pipeline.label_rules import choose

if TYPE_CHECKING:
    from histofed.core.tasks import Task
    from histofed.pipeline.cohort_build import Built
    from histofed.pipeline.cohort_genomics import Genomics
    from histofed.pipeline.cohort_sources import Files
    from histofed.pipeline.label_rules import Chosen
    from histofed.pipeline.schema_data import CohortConfig

TABLE, LEFT_OUT, AUDIT = "cohort.csv", "attrition.csv", "audit.json"


def run(config: CohortConfig) -> int:
    """Make the cohort; return the exit code."""
    out = Path(config.out)
    if (out / TABLE).exists() and not config.overwrite:
        msg = f"{out / TABLE} is there already; name another folder (out=...) or replace it "
        msg += "(overwrite=true)"
        raise ConfigError(msg)
    task = task_of(config.task)
    files = files_of(config)
    patients = read_patients(files, config)
    chosen = choose(task, config.task.label or {}, available(files, patients), config.by)
    genomics = read_genomics(
        files, config, patients=patients, asked=chosen.rule.genes, beside=config.cancer.genes
    )
    built = build(config, task, chosen.rule, patients, genomics)
    audit = cohort_audit.audit_of(
        task,
        built,
        cases={patient: genomics.case(patient, rows[0]) for patient, rows in patients.items()},
        cancer=config.cancer,
        rule=chosen.rule,
        warnings=(*_not_checked(config, chosen), *genomics.warnings),
    )
    record = {
        "histofed": histofed.__version__,
        "cancer": config.cancer.name,
        "task": config.task.name,
        "rule": {"name": chosen.name, "says": chosen.rule.in_words},
        "sources": {str(path): file_digest(path) for path in _sources(config, files)},
        "flow": [asdict(step) for step in built.attrition.steps],
        **audit.record(),
    }
    _write(out, task, built, record)
    cohort_audit.show_flow(built.attrition)
    cohort_audit.show(audit)
    _close(config, chosen, built, genomics)
    return 0


def _not_checked(config: CohortConfig, chosen: Chosen) -> list[str]:
    """Return what is taken on trust: the meaning of a stated label, and whose table it is."""
    stated = f"the label is what the table states: that it means {chosen.unchecked} is not "
    stated += "checked"
    wide = f"{config.cancer.title} is asked for, and all patients of the table are taken; of a "
    wide += f"wider table take those who have it: {config.cancer.select}"
    said = {stated: chosen.unchecked, wide: config.cancer.select and not config.where}
    return [line for line, holds in said.items() if holds]


def _sources(config: CohortConfig, files: Files) -> list[Path]:
    """Return every table that was read, each once."""
    slides = [Path(config.slides)] if config.slides and Path(config.slides).is_file() else []
    return list(dict.fromkeys([*files.all, *slides]))


def _write(out: Path, task: Task, built: Built, record: dict[str, Any]) -> None:
    """Write the three files, the cohort last; before that it is read as other verbs read it."""
    with_mpp = any(slide.mpp for slide in built.slides)
    carried = list(built.carried)
    names = [*COHORT_COLUMNS, *["mpp"] * with_mpp, *task.columns, *carried]
    rows = [
        (
            slide.patient_id,
            slide.slide_id,
            built.site_of[slide.patient_id],
            slide.file,
            *[slide.mpp] * with_mpp,
            *(built.cells[slide.patient_id][column] for column in task.columns),
            *(built.carried[column][slide.patient_id] for column in carried),
        )
        for slide in built.slides
    ]
    with tempfile.TemporaryDirectory() as unused:
        write_rows(Path(unused) / TABLE, names, rows)
        try:
            read_cohort(Path(unused) / TABLE, task)
        except CohortError as error:
            msg = f"the cohort cannot be read: {str(error).replace(f'{unused}/', '')}"
            raise CohortError(msg) from error
    left_out = [(e.step, e.patient_id, e.slide_id, e.reason) for e in built.attrition.left_out]
    write_rows(out / LEFT_OUT, ("step", "patient_id", "slide_id", "reason"), left_out)
    with atomic_text(out / AUDIT) as file:
        json.dump(record, file, indent=1)
    write_rows(out / TABLE, names, rows)


def _close(config: CohortConfig, chosen: Chosen, built: Built, genomics: Genomics) -> None:
    """Show what the cohort is, and what comes next."""
    others = f" (these tables could also answer by={', by='.join(chosen.others)})"
    facts = {
        "label": f"{config.task.name} by {chosen.name}: {chosen.rule.in_words}"
        f"{others * bool(chosen.others)}",
        "patients": f"{len(built.labels):,} ({built.answers})",
        "slides": f"{len(built.slides):,}" if config.slides else "none named",
        "sites": f"{len(set(built.site_of.values())):,}",
    }
    if isinstance(chosen.rule, TimeRule) and chosen.rule.conversion:
        facts["unit"] = chosen.rule.conversion
    if genomics.left_out:
        facts["samples"] = f"{counted(len(genomics.left_out), 'sample')} of other types left out"
    out = Path(config.out)
    facts |= {"cohort": str(out / TABLE), "left out": str(out / LEFT_OUT)}
    facts["audit"] = str(out / AUDIT)
    verb = "extract" if any(slide.file for slide in built.slides) else "train"
    # Extract takes from the cancer how its tissue is found; it knows no task.
    asked = f"task={config.task.name} " * (verb == "train")
    following = f"cancer={config.cancer.name} {asked}cohort={out / TABLE}"
    terminal.closing("cohort", facts, next_command=f"histofed {verb} {following}")
