"""Building a cohort of what was read: who is in, with which label, and who is not and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.core.attrition import Attrition
from histofed.core.cohort import some
from histofed.core.labels.barcodes import PROJECT_OF_SITE, SOURCE_SITES, barcode_of
from histofed.core.labels.base import Unknown
from histofed.core.tasks.base import plain
from histofed.core.words import counted
from histofed.errors import CohortError, ConfigError
from histofed.io.tables import COHORT_COLUMNS
from histofed.pipeline import cohort_labels, cohort_sites, cohort_slides
from histofed.pipeline.cohort_sources import first_cell

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from histofed.core.labels.cells import LabelRule
    from histofed.core.tasks import Label, Task
    from histofed.pipeline.cohort_genomics import Genomics
    from histofed.pipeline.cohort_slides import Found
    from histofed.pipeline.cohort_sources import PatientRow
    from histofed.pipeline.schema_data import CohortConfig
    from histofed.pipeline.schema_parts import CancerConfig


@dataclass(frozen=True, kw_only=True)
class Built:
    """A cohort, before it is written.

    Attributes
    ----------
    slides, found
        Those taken, and all that the tables name.
    cells
        ``patient_id`` -> column of the task -> cell.
    carried
        Further column -> ``patient_id`` -> cell.
    answers
        The labels, counted, in words.
    """

    attrition: Attrition
    slides: list[Found]
    found: list[Found]
    cells: dict[str, dict[str, str]]
    labels: dict[str, Label]
    site_of: dict[str, str]
    carried: dict[str, dict[str, str]]
    answers: str
    warnings: list[str]


def build(
    config: CohortConfig,
    task: Task,
    rule: LabelRule,
    patients: Mapping[str, Sequence[PatientRow]],
    genomics: Genomics,
) -> Built:
    """Make the cohort of what was read.

    Raises
    ------
    ConfigError
        An option names a column that there is not, or leaves nobody.
    CohortError
        A row is at fault, rows of a patient contradict one another, or the label is constant.
    """
    slides = cohort_slides.found_slides(config, patients)
    named = slides if config.slides else []
    attrition = Attrition(patients, {slide.slide_id: slide.patient_id for slide in named})
    strangers = [slide.slide_id for slide in named if slide.patient_id not in patients]
    attrition.leave_slides("of a patient", dict.fromkeys(strangers, "patient not in the table"))
    attrition.leave_patients("of the cancer", _of_other_cohort(patients, config))
    attrition.leave_patients("selected", _unselected(patients, config))
    _check_left(attrition)
    cohort_labels.check_units(rule, patients)
    cases = {p: [genomics.case(p, row) for row in patients[p]] for p in attrition.patients}
    answers = {p: cohort_labels.answer_of(rule, of_patient) for p, of_patient in cases.items()}
    attrition.leave_patients(
        "label known", {p: each.reason for p, each in answers.items() if isinstance(each, Unknown)}
    )
    cells = {p: each for p, each in answers.items() if not isinstance(each, Unknown)}
    _check_left(attrition)
    slides, warnings = _leave_slides(config, attrition, slides, patients)
    warnings += _of_other_projects(attrition.patients, config.cancer)
    inside = attrition.slides if config.slides else attrition.patients
    kept = [slide for slide in slides if slide.slide_id in inside]
    labels = {p: cohort_labels.label_of(task, cells[p], patients[p][0]) for p in attrition.patients}
    cohort_labels.check_constant(task, labels, patients)
    return Built(
        attrition=attrition,
        slides=kept,
        found=named,
        cells=cells,
        labels=labels,
        site_of=cohort_sites.sites_of(kept, patients, config),
        carried=_carried(config.cancer, {*task.columns, *rule.reads}, attrition.patients, patients),
        answers=cohort_labels.counted_answers(task, labels),
        warnings=warnings,
    )


def _check_left(attrition: Attrition) -> None:
    """Refuse a cohort of nobody, by the step that left out the last.

    Raises
    ------
    CohortError
        No patient is left.
    """
    if not attrition.patients:
        last = next(step for step in reversed(attrition.steps) if step.n_out)
        said = "; ".join(f"{n} {reason}" for reason, n in list(last.reasons.items())[:3])
        msg = f"no patient is left after the step '{last.name}' ({said})"
        raise CohortError(msg)


def _of_other_cohort(
    patients: Mapping[str, Sequence[PatientRow]], config: CohortConfig
) -> dict[str, str]:
    """Return patient -> that a column names a cohort of another cancer.

    Tables of several cancers (``acronym`` MESO, ``project_id`` TCGA-MESO) are common.
    """
    own = {name.lower() for name in config.cancer.cohorts}
    own |= {name.removeprefix("tcga-") for name in own}
    reasons = {}
    for patient, rows in patients.items():
        name, said = first_cell(rows[0], config.columns.project)
        if said and said.lower() not in own:
            reasons[patient] = f"{name} is {said}"
    if len(reasons) == len(patients) and patients:
        msg = f"{next(iter(reasons.values()))} for the first patient, and none is of the cohorts "
        msg += f"of cancer={config.cancer.name} ({', '.join(config.cancer.cohorts) or 'none'}); "
        msg += "columns.project=[] takes all"
        raise ConfigError(msg)
    return reasons


def _of_other_projects(patients: Collection[str], cancer: CancerConfig) -> list[str]:
    """Return a warning about TCGA barcodes of projects that are no cohorts of the cancer."""
    sites = [barcode.site for patient in patients if (barcode := barcode_of(patient))]
    own = {name for name in cancer.cohorts if name in SOURCE_SITES}
    others = Counter(
        PROJECT_OF_SITE.get(site, f"source site {site}")
        for site in sites
        if PROJECT_OF_SITE.get(site) not in own
    )
    if not others or not cancer.cohorts:
        return []
    named = [f"{n:,} of {name}" for name, n in others.most_common()]
    said = f"by their TCGA barcodes {counted(others.total(), 'patient')} of {len(patients):,} are "
    said += f"of none of the cohorts of cancer={cancer.name} ({', '.join(cancer.cohorts)}): "
    return [said + some(named)]


def _unselected(
    patients: Mapping[str, Sequence[PatientRow]], config: CohortConfig
) -> dict[str, str]:
    """Return patient -> which value of a column keeps it out (``where``)."""
    reasons: dict[str, str] = {}
    for name, values in (config.where or {}).items():
        wanted = {plain(value) for value in values}
        for patient, rows in patients.items():
            if name.lower() not in rows[0].cells:
                msg = f"where.{name}: the table of patients has no such column; it has "
                msg += ", ".join(list(rows[0].cells)[:20])
                raise ConfigError(msg)
            if not any(plain(row.cells[name.lower()]) in wanted for row in rows):
                reasons.setdefault(patient, f"{name} is {rows[0].cells[name.lower()] or 'empty'}")
    return reasons


def _leave_slides(
    config: CohortConfig,
    attrition: Attrition,
    slides: list[Found],
    patients: Mapping[str, Sequence[PatientRow]],
) -> tuple[list[Found], list[str]]:
    """Leave out slides, and patients who have none; return the slides placed, and warnings."""
    warnings, named = [], {slide.patient_id for slide in slides}
    if config.slides is None:
        warnings.append(
            "no slides were named, so the cohort has one row per patient with an empty path; add "
            "slides=TABLE_OR_FOLDER to tile and extract"
        )
    else:
        kinds = cohort_slides.of_other_kind(slides, config)
        attrition.leave_slides("of the kind", kinds)
        if config.task.before_treatment:
            warnings += _leave_treated(config, attrition, slides, patients)
        inside = [slide for slide in slides if slide.slide_id in attrition.slides]
        slides, lost, said = cohort_slides.placed(inside, config)
        attrition.leave_slides("on disk", lost)
        warnings += [said] if said else []
        with_slide = set(attrition.slides.values())
        without = [p for p in attrition.patients if p not in with_slide]
        slideless = {p: "no slide left" if p in named else "no slide" for p in without}
        attrition.leave_patients("with a slide", slideless)
        _check_left(attrition)
    coarse = [s for s in slides if s.mpp and float(s.mpp) > config.cancer.mpp * 1.1]
    if coarse:
        warnings.append(
            f"{counted(len(coarse), 'slide')} coarser than the {config.cancer.mpp:g} microns per "
            f"pixel that show what is asked, e.g. {coarse[0].slide_id} with {coarse[0].mpp}"
        )
    return slides, warnings


def _leave_treated(
    config: CohortConfig,
    attrition: Attrition,
    slides: list[Found],
    patients: Mapping[str, Sequence[PatientRow]],
) -> list[str]:
    inside = [slide for slide in slides if slide.slide_id in attrition.slides]
    start_of = {
        p: (first_cell(patients[p][0], config.columns.treatment_start)[1], patients[p][0].where)
        for p in attrition.patients
    }
    reasons, n_unknown = cohort_slides.after_treatment(inside, start_of)
    attrition.leave_slides("before treatment", reasons)
    if not n_unknown:
        return []
    said = (
        f"that {counted(n_unknown, 'slide')} of {len(inside):,} were taken before treatment cannot "
        "be checked: the tables do not say both dates (columns slide_date, treatment_start)"
    )
    return [said]


def _carried(
    cancer: CancerConfig,
    label: Collection[str],
    kept: Sequence[str],
    patients: Mapping[str, Sequence[PatientRow]],
) -> dict[str, dict[str, str]]:
    """Return the covariates and confounders that the table of patients has.

    What the ``label`` is made of is none of them: it would tell the answer.

    Raises
    ------
    CohortError
        Two rows of a patient contradict one another.
    """
    taken = {name.lower() for name in (*COHORT_COLUMNS, *label, "mpp")}
    names = dict.fromkeys([*cancer.covariates, *cancer.confounders])
    found: dict[str, dict[str, str]] = {}
    for name in names:
        if name.lower() in taken or not any(name.lower() in patients[p][0].cells for p in kept):
            continue
        found[name] = {}
        for patient in kept:
            cells = {row.cells.get(name.lower(), ""): row for row in patients[patient]}
            if len(cells) > 1:
                said = " and ".join(repr(cell) for cell in cells)
                msg = f"{list(cells.values())[1].where}: {name} is {said} in rows of one patient; "
                msg += "it is per patient: correct one, or leave it out (cancer.covariates, "
                msg += "cancer.confounders)"
                raise CohortError(msg)
            found[name][patient] = next(iter(cells))
    return found
