"""What is shown of a binary task: curves, decisions, calibration, net benefit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.core.metrics import Interval
from histofed.report.figures import (
    NamedPredictions,
    calibration_figure,
    net_benefit_figure,
    pr_figure,
    roc_figure,
)
from histofed.report.model import Section, Table, picture
from histofed.report.words import cannot, fixed, folds_note, sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.evaluation.arms import ArmEvaluation
    from histofed.core.evaluation.recalibrated import Calibration
    from histofed.report.model import Cell, Picture


def sections(arms: Sequence[ArmEvaluation]) -> list[Section]:
    """Return the sections; the first arm is the main one."""
    return [_discrimination(arms), _decisions(arms), _calibration(arms[0]), _net_benefit(arms)]


def _curves(arms: Sequence[ArmEvaluation], metric: str) -> list[NamedPredictions]:
    return [
        NamedPredictions(each.arm, each.rows.label_P, each.rows.output_P, found, each.rows.folds_P)
        for each in arms
        if (found := each.result.numbers[metric]) is not None
    ]


def _discrimination(arms: Sequence[ArmEvaluation]) -> Section:
    paragraph = "Every patient was predicted by a model that was neither trained nor picked on "
    paragraph = sentences(paragraph + "that patient.", folds_note(arms))
    areas, precision = _curves(arms, "auroc"), _curves(arms, "auprc")
    pictures: tuple[Picture, ...] = ()
    if areas:
        main = areas[0].name
        pictures = (
            picture("roc", roc_figure(areas, main=main), "ROC curves"),
            picture("pr", pr_figure(precision, main=main), "Precision-recall curves"),
        )
    else:
        paragraph = sentences(paragraph, f"No curve: {arms[0].result.reasons['auroc']}.")
    return Section(
        heading="How well patients are told apart", paragraph=paragraph, pictures=pictures
    )


def _decisions(arms: Sequence[ArmEvaluation]) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for each in arms:
        found = each.details.decision
        if found is None:
            rows.append((each.arm, *[None] * 6))
            continue
        rows.append(
            (
                each.arm,
                found.balanced_accuracy,
                found.sensitivity,
                found.specificity,
                found.ppv,
                found.npv,
                f"{found.tests_saved:.0%}",
            )
        )
    rules = {each.details.decision.rule for each in arms if each.details.decision}
    paragraph = "Calling a patient positive needs a threshold. "
    paragraph += "".join(f"It was fixed before: {rule}. " for rule in sorted(rules))
    paragraph += "Chosen among the patients reported here, its sensitivity would be a wish."
    return Section(
        heading="What a decision finds and misses",
        paragraph=paragraph,
        tables=(
            Table(
                columns=(
                    "model", "balanced accuracy", "sensitivity", "specificity", "PPV", "NPV",
                    "not called",
                ),
                rows=tuple(rows),
                note="Sensitivity: of the positive patients, the share called. Specificity: of the "
                "negative, the share not called. PPV and NPV: of those called and not called, the "
                "share for whom that is right; both depend on how frequent positives are. Not "
                "called: whom a pre-screening would spare the confirmatory test. "
                + cannot((each.arm, each.details.reasons.get("decision")) for each in arms),
            ),
        ),
    )  # fmt: skip


def _calibration(arm: ArmEvaluation) -> Section:
    details = arm.details
    rows = [("as they are", *_cells(details.before))]
    if details.after is not None:
        span = fixed(sorted(details.temperatures.values()))
        rows.append((f"at temperature {span}", *_cells(details.after)))
    reasons = {
        "slope and intercept": details.before.reason,
        "a temperature": details.reasons.get("after"),
    }
    figure = calibration_figure(arm.rows.label_P, arm.rows.output_P, name=arm.arm)
    return Section(
        heading="Whether a probability means what it says",
        paragraph=f"The {arm.arm} model's probabilities against what was found; as they are, and "
        "divided in their logit by a temperature that each fold's selection patients fix. The "
        "predictions table holds them as they are.",
        pictures=(picture("calibration", figure, "Calibration"),),
        tables=(
            Table(
                columns=("probabilities", "slope", "intercept", "calibration error", "Brier"),
                rows=tuple(rows),
                note="Slope: 1 is right, below 1 the model is too sure. Intercept: 0 is right, "
                "below 0 it says too much. Calibration error: mean distance of predicted and "
                "observed fraction over bins of equally many patients; above 0 by chance alone in "
                "a small cohort. " + cannot(reasons.items()),
            ),
        ),
    )


def _cells(found: Calibration) -> tuple[Cell, ...]:
    return (found.slope, found.intercept, f"{found.ece:.3f}", f"{found.brier:.3f}")


def _net_benefit(arms: Sequence[ArmEvaluation]) -> Section:
    unused = Interval(0.0, 0.0, 0.0)
    curves = [
        NamedPredictions(each.arm, each.rows.label_P, each.rows.output_P, unused) for each in arms
    ]
    figure = net_benefit_figure(curves)
    return Section(
        heading="Whether anybody is better off",
        paragraph="A model may rank well and still change no decision for the better.",
        pictures=(picture("net_benefit", figure, "Decision curves"),),
    )
