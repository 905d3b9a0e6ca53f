"""What is shown of numbers: predicted against true, and each of many allowing for their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.report.forest import Row, forest_figure
from histofed.report.model import Section, Table, picture
from histofed.report.scatter import Panel, scatter_figure
from histofed.report.words import cannot, folds_note, p_words, sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.core.evaluation.arms import ArmEvaluation
    from histofed.core.evaluation.regression import Quantity
    from histofed.core.tasks import RegressionTask
    from histofed.report.model import Cell

MOST_ROWS = 100
"""Of the table on the page; ``metrics.json`` has them all."""


def sections(arms: Sequence[ArmEvaluation], task: RegressionTask) -> list[Section]:
    """Return the sections; the first arm is the main one."""
    main = arms[0]
    panels = []
    for number, each in enumerate(main.details.quantities):
        truth = main.rows.labels_PK[:, number]
        known = ~np.isnan(truth)
        predicted = main.rows.outputs_PV[known, number]
        if known.any():
            panels.append(Panel(each.name, truth[known], predicted, each.pearson))
    pictures = [
        picture("scatter", scatter_figure(panels, unit=task.unit), "Predicted against true numbers")
    ]
    quantities = main.details.quantities
    if len(quantities) > 1:
        rows = [
            Row(each.name, f"n={each.n_patients}", each.pearson, each.adjusted)
            for each in quantities
        ]
        title = f"Which numbers are predicted? ({main.arm})"
        figure = forest_figure(rows, title=title, xlabel="Pearson r", chance=0.0)
        pictures.append(picture("panel", figure, "Correlation of each quantity"))
    return [
        Section(
            heading="Predicted and true numbers",
            paragraph=sentences(
                "Every patient was predicted by a model that was neither trained nor picked on "
                "that patient.",
                folds_note(arms),
            ),
            tables=(_table(main.arm, quantities),),
            pictures=tuple(pictures),
        )
    ]


def _table(arm: str, quantities: Sequence[Quantity]) -> Table:
    shown = quantities[:MOST_ROWS]
    of_all = (
        f"The first {len(shown)} of {len(quantities)}. " if len(shown) < len(quantities) else ""
    )
    return Table(
        columns=(
            "quantity", "patients", "Pearson r", "Spearman rho", "R2", "mean error", "p",
            "adjusted p",
        ),
        rows=tuple(
            (
                each.name,
                str(each.n_patients),
                each.pearson,
                _number(each.spearman),
                _number(each.r2),
                _number(each.mae),
                p_words(each.p_value),
                p_words(each.adjusted),
            )
            for each in shown
        ),
        note=f"{of_all}Of the {arm} model. p: one-sided, of no correlation; adjusted for the "
        "number of quantities (Benjamini and Hochberg). "
        + cannot((each.name, each.reason) for each in shown),
    )  # fmt: skip


def _number(value: float | None) -> Cell:
    return None if value is None else f"{value:.3f}"
