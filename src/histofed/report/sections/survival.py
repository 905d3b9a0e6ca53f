"""What is shown of survival: accuracy at the task's times, groups of risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.report.model import Section, Table, picture
from histofed.report.survival import kaplan_meier_figure
from histofed.report.words import cannot, fixed, folds_note, p_words, sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.evaluation.arms import ArmEvaluation
    from histofed.core.tasks import SurvivalTask
    from histofed.report.model import Cell


def sections(arms: Sequence[ArmEvaluation], task: SurvivalTask) -> list[Section]:
    """Return the sections; the first arm is the main one."""
    return [_over_time(arms, task), _groups(arms, task)]


def _over_time(arms: Sequence[ArmEvaluation], task: SurvivalTask) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (f"{each.arm}, {at.time:g} {task.unit}", at.auc, at.brier)
        for each in arms
        for at in each.details.at_times
    ]
    reasons = [
        (f"{each.arm}, {at.time:g} {task.unit}", at.reason)
        for each in arms
        for at in each.details.at_times
    ]
    return Section(
        heading="How good the prediction is as time goes on",
        paragraph=sentences(
            folds_note(arms), "Patients lost from sight are made up for by weights."
        ),
        tables=(
            Table(
                columns=("model and time", "AUC", "Brier"),
                rows=tuple(rows),
                note="AUC: of a patient with the event by then and one still without, how often "
                "the first had the higher risk. Brier: mean squared error of the predicted "
                "survival; 0.25 is what saying one half to everybody gets. " + cannot(reasons),
            ),
        ),
    )


def _groups(arms: Sequence[ArmEvaluation], task: SurvivalTask) -> Section:
    rows: list[tuple[Cell, ...]] = []
    reasons: list[tuple[str, str | None]] = []
    for each in arms:
        ratio = each.details.hazard_ratio
        halves = each.details.groups.get("halves")
        test = halves.log_rank if halves else None
        rows.append(
            (
                each.arm,
                ratio.ratio if ratio else None,
                p_words(ratio.p_value) if ratio else None,
                p_words(test.p_value) if test else None,
                _cuts(halves.cuts) if halves else None,
            )
        )
        reasons += [
            (f"{each.arm}, hazard ratio", each.details.reasons.get("hazard_ratio")),
            (f"{each.arm}, groups", each.details.reasons.get("halves")),
            (f"{each.arm}, log-rank", halves.reason if halves else None),
        ]
    main = next((each for each in arms if each.details.groups), None)
    pictures = () if main is None else tuple(
        picture(
            f"kaplan_meier_{name}",
            kaplan_meier_figure(found, name=f"{main.arm}, {name}", unit=task.unit),
            f"Survival by {name} of the predicted risk",
            kind="kaplan_meier",
        )
        for name, found in main.details.groups.items()
    )  # fmt: skip
    return Section(
        heading="Whether patients at higher predicted risk fare worse",
        paragraph="Groups are cut at the median, and at the thirds, of the risk of each fold's "
        "selection patients, who picked the checkpoint and are not reported.",
        tables=(
            Table(
                columns=(
                    "model", "hazard ratio per SD", "p", "log-rank p of the halves",
                    "medians of the folds",
                ),
                rows=tuple(rows),
                note="Hazard ratio: how much faster events come per standard deviation of the risk "
                "within its fold; 1 is no difference. p: of no difference. " + cannot(reasons),
            ),
        ),
        pictures=pictures,
    )  # fmt: skip


def _cuts(cuts: dict[int, tuple[float, ...]]) -> str:
    return fixed(sorted(cut for each in cuts.values() for cut in each))
