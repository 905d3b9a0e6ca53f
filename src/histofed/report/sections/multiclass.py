"""What is shown of a task with several classes: confusion, and each class against the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.report.confusion import confusion_figure
from histofed.report.model import Section, Table, picture
from histofed.report.words import cannot, folds_note, sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.evaluation.arms import ArmEvaluation


def sections(arms: Sequence[ArmEvaluation]) -> list[Section]:
    """Return the section; the first arm is the main one."""
    main = arms[0]
    figure = confusion_figure(main.details.confusion_CC, main.details.classes, name=main.arm)
    classes = main.details.by_class
    return [
        Section(
            heading="Which class is taken for which",
            paragraph=sentences(
                "Every patient was predicted by a model that was neither trained nor picked on "
                "that patient. The class called is the most probable one.",
                folds_note(arms),
            ),
            tables=(
                Table(
                    columns=("class", "patients", "AUROC against the rest"),
                    rows=tuple((each.name, str(each.n_patients), each.auroc) for each in classes),
                    note=f"Of the {main.arm} model. "
                    + cannot((each.name, each.reason) for each in classes),
                ),
            ),
            pictures=(picture("confusion", figure, "Confusion matrix"),),
        )
    ]
