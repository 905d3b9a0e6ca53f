"""Where to trust the models: groups of patients, sets of classes, unusual patients, sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from histofed.report.model import Section, Table
from histofed.report.words import POINT_NOTE, cannot, is_point, p_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from histofed.core.evaluation.arms import ArmEvaluation
    from histofed.core.evaluation.base import Measures, Result
    from histofed.report.model import Cell


def comparison(arms: Sequence[ArmEvaluation], measures: Measures) -> Iterable[Section]:
    """Yield how much better or worse each way of training is than the first."""
    compared = [each.against for each in arms if each.against is not None]
    if not compared:
        return
    reference = compared[0].reference
    rows: list[tuple[Cell, ...]] = []
    for each in arms:
        if each.against is None:
            continue
        found = [each.against.numbers[metric.name] for metric in measures.metrics]
        cells = [number.interval if number else None for number in found]
        rows.append((each.arm, *cells, p_words(found[0].p_value) if found[0] else None))
    columns = ("model", *(metric.title for metric in measures.metrics), "p")
    note = "Intervals are of the paired bootstrap"
    if any(row[-1] is not None for row in rows):
        note += ", those of the AUROC and its p after DeLong. "
    else:  # no test gives one
        rows, columns, note = [row[:-1] for row in rows], columns[:-1], note + ". "
    title = {metric.name: metric.title for metric in measures.metrics}
    reasons = (
        (f"{each.arm}, {title[name]}", reason)
        for each in arms
        if each.against
        for name, reason in each.against.reasons.items()
    )
    yield Section(
        heading=f"Against the {reference} model",
        paragraph=f"Each model's number less that of the {reference} model on the same patients. "
        "An interval that holds 0 does not show a difference, and does not show that there is "
        "none.",
        tables=(Table(columns=columns, rows=tuple(rows), note=note + cannot(reasons)),),
    )


def trust(
    arms: Sequence[ArmEvaluation],
    measures: Measures,
    *,
    site_known: Mapping[str, Any],
    confounder: str | None,
) -> Section:
    """Return what says where the first arm may be wrong.

    Parameters
    ----------
    site_known
        How well the features tell the site: ``by_site``, ``mean``, or the ``reason`` why not.
    confounder
        Name of the column within whose values patients were compared; None for none.
    """
    main = arms[0]
    tables = [*_coverage(main), _groups(main, measures), *_site_known(site_known)]
    tables += [] if confounder is None else [_confounder(arms, confounder)]
    tables += list(_permutation(arms, measures))
    return Section(
        heading="Where to trust it",
        paragraph=f"Of the {main.arm} model, if not said otherwise. An average hides the patients "
        "for whom it is wrong.",
        tables=tuple(tables),
    )


def _groups(arm: ArmEvaluation, measures: Measures) -> Table:
    parts: dict[str, Mapping[str, Result]] = {"features": arm.trust.unlike, **arm.groups}
    rows: list[tuple[Cell, ...]] = []
    reasons: list[tuple[str, str | None]] = []
    for column, groups in parts.items():
        for value, result in groups.items():
            kinds = measures.in_words(result.counts)
            count = f"{result.counts['n_patients']}" + (f", {kinds}" if kinds else "")
            rows.append(
                (f"{column}: {value}", count, *(result.numbers[m.name] for m in measures.metrics))
            )
            reasons += [(f"{column}: {value}", why) for why in result.reasons.values()]
    has_point = any(is_point(cell) for row in rows for cell in row)
    return Table(
        columns=("patients of", "patients", *(metric.title for metric in measures.metrics)),
        rows=tuple(rows),
        note="Look twice: of a hundred patients trained on, at least 99 are more usual than this "
        "one by their mean features. "
        + " ".join(filter(None, [has_point * POINT_NOTE, cannot(reasons)])),
    )


def _coverage(arm: ArmEvaluation) -> Iterable[Table]:
    if arm.trust.coverage:
        yield Table(
            columns=("patients of", "patients", "set holds the class", "classes in a set"),
            rows=tuple(
                (each.group, str(each.n_patients), each.covered, f"{each.mean_size:.2f}")
                for each in arm.trust.coverage
            ),
            note="Each prediction carries the set of classes that cannot be ruled out, which "
            "should hold the true class nine times in ten. A hospital where it does so less often "
            "is unlike those that the sets were calibrated on. A set of one class says most.",
        )


def _site_known(found: Mapping[str, Any]) -> Iterable[Table]:
    if found["reason"]:
        yield Table(
            columns=("hospital", "told from the features"),
            rows=(("all", None),),
            note=cannot([("the hospital", found["reason"])]),
        )
        return
    yield Table(
        columns=("hospital", "told from the features (AUROC)"),
        rows=(
            *((site, f"{value:.3f}") for site, value in found["by_site"].items()),
            ("mean", f"{found['mean']:.3f}"),
        ),
        note="How well a linear classifier finds a patient's hospital from mean features, "
        "cross-validated; 0.5 is not at all. Near 1, a model could use the hospital in place of "
        "the disease: read the table of hospitals, and test on whole hospitals "
        "(splits.scheme=sites).",
    )


def _confounder(arms: Sequence[ArmEvaluation], column: str) -> Table:
    return Table(
        columns=("model", "AUROC", f"of pairs of the same {column}"),
        rows=tuple(
            (
                each.arm,
                each.confounder.crude if each.confounder else None,
                each.confounder.within if each.confounder else None,
            )
            for each in arms
        ),
        note=f"Where the second is well below the first, the model knows the {column}, and that is "
        "part of its success. " + cannot((each.arm, each.confounder_reason) for each in arms),
    )


def _permutation(arms: Sequence[ArmEvaluation], measures: Measures) -> Iterable[Table]:
    asked = [each for each in arms if each.permutation or each.permutation_reason]
    if asked:
        title = measures.metrics[0].title
        yield Table(
            columns=("model", title, f"{title} of shuffled labels", "p"),
            rows=tuple(
                (
                    each.arm,
                    f"{each.permutation.value:.3f}" if each.permutation else None,
                    f"{each.permutation.chance:.3f}" if each.permutation else None,
                    p_words(each.permutation.p_value) if each.permutation else None,
                )
                for each in asked
            ),
            note="Labels are shuffled within each hospital: a model that only tells hospitals "
            "apart does as well on shuffled labels. "
            + cannot((each.arm, each.permutation_reason) for each in asked),
        )
