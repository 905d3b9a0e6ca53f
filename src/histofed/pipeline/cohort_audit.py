"""What `histofed cohort` says of its labels: by hospital, by confounder, by other mutations."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from histofed.core.cohort import some
from histofed.core.labels.audit import Association, LabelTable, associations, label_table
from histofed.core.labels.base import Unknown
from histofed.core.labels.cells import Answers
from histofed.core.labels.variants import NON_SILENT_WORD, SILENT, VariantRule
from histofed.core.tasks import ClassTask
from histofed.core.tasks.base import YesNo
from histofed.core.words import counted
from histofed.pipeline import terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histofed.core.attrition import Attrition
    from histofed.core.labels.base import Case
    from histofed.core.labels.cells import LabelRule
    from histofed.core.tasks import Label, Task
    from histofed.pipeline.cohort_build import Built
    from histofed.pipeline.schema_parts import CancerConfig

STATED = YesNo(
    positive=("1", "yes", "true", "mutated", "mut"),
    negative=("0", "no", "false", "wild type", "wt"),
)
"""Words by which tables state a mutation."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What is told of a cohort's labels."""

    tables: tuple[LabelTable, ...]
    pairs: tuple[Association, ...]
    slide_types: Mapping[str, tuple[int, int]]  # of all slides found: patients, slides
    other_variants: tuple[str, ...]  # carried by those whose answer is no, in words
    warnings: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return it as plain data."""
        ratio, nothing = ("odds_ratio", "low", "high"), (None, None, None)
        return {
            "labels_by": [asdict(table) for table in self.tables],
            "pairs": [
                {**asdict(pair), **dict(zip(ratio, pair.odds_ratio or nothing, strict=True))}
                for pair in self.pairs
            ],
            "slide_types": {
                name: {"patients": n_patients, "slides": n_slides}
                for name, (n_patients, n_slides) in self.slide_types.items()
            },
            "other_variants": list(self.other_variants),
            "warnings": list(self.warnings),
        }


def audit_of(
    task: Task,
    built: Built,
    *,
    cases: Mapping[str, Case],
    cancer: CancerConfig,
    rule: LabelRule,
    warnings: Sequence[str],
) -> Audit:
    """Hold the labels against hospitals, confounders and other genes.

    Parameters
    ----------
    cancer
        Its confounders (those that the table of patients has) and genes.
    rule
        Which made the label; what it read is not held against it.
    warnings
        Of what was read.
    """
    labels = built.labels
    held = {"site": dict(built.site_of)}
    read = {name.lower() for name in rule.reads}
    for name in cancer.confounders:
        if name.lower() in read:
            continue
        found = {p: cell[1] for p in labels if (cell := cases[p].cell((name,)))}
        if any(found.values()):
            held[name] = found
    tables = tuple(label_table(name, values, labels, task) for name, values in held.items())
    own = _answers(task, labels)
    others = {
        gene: answers
        for gene in cancer.genes
        if gene not in rule.genes
        and gene.lower() not in {name.lower() for name in own}
        and (answers := _mutated(gene, {p: cases[p] for p in labels}))
    }
    types: dict[str, set[str]] = {}
    for slide in built.found:
        types.setdefault(slide.slide_type, set()).add(slide.patient_id)
    n_slides = Counter(slide.slide_type for slide in built.found)
    return Audit(
        tables=tables,
        pairs=associations(tuple(own), {**own, **others}) if own else (),
        slide_types={name: (len(of), n_slides[name]) for name, of in types.items()},
        other_variants=tuple(_other_variants(task, rule, {p: cases[p] for p in labels}, labels)),
        warnings=(*built.warnings, *warnings, *_one_sided(tables)),
    )


def _one_sided(tables: Sequence[LabelTable]) -> list[str]:
    """Return a warning per table: of every such hospital, and of confounders beyond chance."""
    lines = []
    for table in tables:
        values = table.one_sided if table.by == "site" else table.beyond_chance
        rows = [(value, *table.rows[value]) for value in values]
        named = [f"{value} ({table.answers[counts.index(n)]})" for value, n, counts in rows]
        if named:
            lines.append(
                f"{table.by} {some(named)}: one answer only, so that a model that sees the "
                f"{table.by} sees the label"
            )
    return lines


def _other_variants(
    task: Task, rule: LabelRule, cases: Mapping[str, Case], labels: Mapping[str, Label]
) -> list[str]:
    """Return a line per question: how many without it have a variant that the rule passes over."""
    lines = []
    for column, each in rule.rules.items() if isinstance(rule, Answers) else ():
        number = task.columns.index(column)
        negative = [patient for patient, label in labels.items() if label[number] == 0]
        found = {
            patient: changes
            for patient in negative
            if (
                changes := {
                    variant.protein_change or variant.kind
                    for variant in cases[patient].variants
                    if variant.gene in each.genes and variant.kind not in SILENT
                }
            )
        }
        if found:
            counts = Counter(change for of_patient in found.values() for change in of_patient)
            named = [f"{change} in {n}" for change, n in counts.most_common()]
            what = task.classes[0] if isinstance(task, ClassTask) else f"{column} no"
            lines.append(
                f"{len(found):,} of {counted(len(negative), 'patient')} with {what!r} have another "
                f"variant of {'/'.join(each.genes)}: {some(named)}"
            )
    return lines


def _answers(task: Task, labels: Mapping[str, Label]) -> dict[str, dict[str, bool]]:
    """Return question -> patient -> answer, of tasks that ask yes or no."""
    if task.kind not in ("binary", "multilabel"):
        return {}
    return {
        name: {p: label[i] == 1 for p, label in labels.items() if label[i] in (0, 1)}
        for i, name in enumerate(task.columns)
    }


def _mutated(gene: str, cases: Mapping[str, Case]) -> dict[str, bool]:
    """Return patient -> whether the gene is mutated, by the mutations or as the table states it."""
    rule = VariantRule(names=(gene,), variants=(NON_SILENT_WORD,))
    found: dict[str, bool] = {}
    for patient, case in cases.items():
        answer = rule.answer(case)
        stated = STATED.read(cell[1]) if (cell := case.cell((gene,))) else None
        if not isinstance(answer, Unknown):
            found[patient] = answer
        elif stated is not None:
            found[patient] = stated == 1
    return found


def show_flow(attrition: Attrition) -> None:
    """Print who was left out, step by step."""
    for name, said in attrition.flow():
        terminal.say(f"{name}: {said}")


def show(audit: Audit) -> None:
    """Print the audit."""
    for table in audit.tables:
        rows = [
            [value, str(n), *(_share(count, n) for count in counts)]
            for value, (n, counts) in table.rows.items()
        ]
        terminal.table(f"Label by {table.by}", ["value", "patients", *table.answers], rows)
    if audit.pairs:
        rows = [
            [f"{pair.first} and {pair.second}", *map(str, _counts(pair)), _ratio(pair)]
            for pair in audit.pairs
        ]
        columns = ["pair", "both", "first", "second", "neither", "odds ratio (95%)"]
        terminal.table("Together with other answers", columns, rows)
    if audit.slide_types:
        _show_slides(audit)
    for line in audit.other_variants:
        terminal.say(line)
    for warning in audit.warnings:
        terminal.say(f"warning: {warning}")


def _show_slides(audit: Audit) -> None:
    rows = [[name, str(n), str(slides)] for name, (n, slides) in audit.slide_types.items()]
    terminal.table("Slides in the tables", ["type", "patients", "slides"], rows)


def _share(count: int, n: int) -> str:
    return f"{count} ({count / n:.0%})"


def _counts(pair: Association) -> tuple[int, int, int, int]:
    return pair.both, pair.only_first, pair.only_second, pair.neither


def _ratio(pair: Association) -> str:
    if pair.odds_ratio is None:
        return "one answer only"
    middle, low, high = pair.odds_ratio
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
