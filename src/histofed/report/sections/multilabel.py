"""What is shown of a panel: every question, allowing for their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.report.forest import Row, forest_figure
from histofed.report.model import Section, Table, picture
from histofed.report.words import cannot, folds_note, p_words, sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.evaluation.arms import ArmEvaluation


def sections(arms: Sequence[ArmEvaluation]) -> list[Section]:
    """Return the section; the first arm is the main one."""
    main = arms[0]
    questions = main.details.questions
    rows = [
        Row(each.name, f"n={each.n_patients}, {each.n_positive} +", each.auroc, each.adjusted)
        for each in questions
    ]
    figure = forest_figure(
        rows, title=f"Which questions are answered? ({main.arm})", xlabel="AUROC", chance=0.5
    )
    return [
        Section(
            heading="Question by question",
            paragraph=sentences(
                "A patient counts in a question only if the answer is known: what was not tested "
                "is not negative.",
                folds_note(arms),
            ),
            tables=(
                Table(
                    columns=("question", "patients", "positive", "AUROC", "p", "adjusted p"),
                    rows=tuple(
                        (
                            each.name,
                            str(each.n_patients),
                            str(each.n_positive),
                            each.auroc,
                            p_words(each.p_value),
                            p_words(each.adjusted),
                        )
                        for each in questions
                    ),
                    note=f"Of the {main.arm} model. p: one-sided, of an AUROC of 0.5 (Mann and "
                    "Whitney); adjusted for the number of questions (Benjamini and Hochberg): of "
                    "the questions below 0.05, one in twenty is expected to be luck. "
                    + cannot((each.name, each.reason) for each in questions),
                ),
            ),
            pictures=(picture("panel", figure, "AUROC of each question"),),
        )
    ]
