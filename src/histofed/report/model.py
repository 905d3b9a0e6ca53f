"""What a report is made of: frozen rows, pictures and sections, before they become a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from histofed.report.style import png_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from histofed.core.evaluation.base import Measures, Result
    from histofed.core.metrics import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """One way of training (local-only, federated, pooled) on all held-out patients."""

    arm: str
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteResult:
    """One way of training on the held-out patients of one hospital."""

    site: str
    arm: str
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure of the report.

    Attributes
    ----------
    png
        The file's bytes (`histofed.report.style.png_bytes`).
    alt
        What it shows, for people who cannot see it.
    how_to_read
        One sentence below it; `HOW_TO_READ` has one for each figure of the house.
    name
        Of its file in the run's folder of figures; empty for one that has a file already.
    """

    png: bytes
    alt: str
    how_to_read: str
    name: str = ""


def picture(name: str, figure: Figure, alt: str, *, kind: str = "") -> Picture:
    """Return a figure of the house; ``kind`` is its entry in `HOW_TO_READ` if not its name."""
    return Picture(png=png_bytes(figure), alt=alt, how_to_read=HOW_TO_READ[kind or name], name=name)


Cell: TypeAlias = "str | Interval | None"
"""Of a table: text, a number with its interval, or nothing to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells; the first cell of a row is its heading.

    Attributes
    ----------
    note
        What columns mean, and why cells are empty.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, what was found, and the tables and pictures that show it."""

    heading: str
    paragraph: str
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that `histofed.report.html.write_report` puts on the page.

    Attributes
    ----------
    caveats
        Shown at the top, before any number.
    measures
        What the numbers of the task are and mean.
    summary, sites
        Rows of the two tables, in the order given; the first hospital row of an arm decides
        the order of columns.
    provenance
        How the numbers were made: versions, digests, seed, command.
    """

    title: str
    subtitle: str
    measures: Measures
    summary: tuple[ArmSummary, ...]
    sites: tuple[SiteResult, ...] = ()
    sections: tuple[Section, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()


HOW_TO_READ: Mapping[str, str] = {
    "roc": (
        "How to read: each step to the right accepts one more false alarm, each step up finds one "
        "more positive patient. Closer to the top left is better; the dashed diagonal is chance. "
        "The band is where 95% of resampled cohorts put the curve. Of several folds the line is "
        "the mean of theirs, each with thresholds of its own; the area under it is the AUROC."
    ),
    "pr": (
        "How to read: going right, more of the positive patients are found; height is the share "
        "of called patients who truly are positive. The dashed line is what chance achieves. The "
        "patients of all folds are in one list here, for the precision of a few has no fair mean; "
        "where folds differ in their share of positives, the line lies somewhat too low."
    ),
    "calibration": (
        "How to read: a dot on the diagonal means that of the patients told 30%, 30% are "
        "positive. Above it the model says too little, below it too much; bars are 95% Wilson "
        "intervals, and the histogram shows how many patients got each probability."
    ),
    "sites": (
        "How to read: one dot per way of training and hospital, with its 95% interval; the dashed "
        "line is chance. Few patients make wide intervals; the models share their patients, so "
        "overlap alone neither shows nor rules out a difference."
    ),
    "net_benefit": (
        "How to read: who would treat or test further from a probability of 20% on finds 20% on "
        "the lower axis. Height is the share of patients rightly treated, less those treated in "
        "vain at the exchange rate that this probability implies. The model is of use where its "
        "line is above both treating everybody and treating nobody."
    ),
    "confusion": (
        "How to read: a row is what was found, a column what the model called. The diagonal is "
        "right; the percentage is of the row, so it does not depend on how frequent a class is."
    ),
    "panel": (
        "How to read: one row per question, the best first, with its 95% interval; the dashed line "
        "is chance. A filled dot is a finding even after allowing for the number of questions "
        "(adjusted p below 0.05); an open one may be luck."
    ),
    "scatter": (
        "How to read: one dot per patient. On the dashed line the prediction is exact; a cloud "
        "that rises but is flatter than the line is the usual caution of a model that knows "
        "part of the answer. Of several folds r is within them: patients of two are not compared."
    ),
    "kaplan_meier": (
        "How to read: height is the share of patients without the event so far; a tick is a "
        "patient lost from sight. Groups were cut at the risk of other patients, who picked the "
        "checkpoint. Below: how many are still under observation. Where few are left, the curves "
        "say little."
    ),
    "rounds": (
        "How to read: lower is better. Each thin line is one hospital's loss on its own selection "
        "patients after a round; the thick line weights hospitals by patients. The marked round "
        "is the model that was kept."
    ),
    "curves": (
        "How to read: lower is better. Where the selection line rises while training still "
        "falls, the model has begun to memorise its patients."
    ),
    "tiles": (
        "How to read: the line is the border of the tissue that was found; each square is a tile "
        "that was kept. Pen, glass and blurred areas should carry no squares."
    ),
    "heatmap": (
        "How to read: the same slide twice; on the right each tile has the colour of its raw "
        "score, without smoothing. Bright tiles weighed most in the model's answer. It shows "
        "where the model looked, not what is diseased."
    ),
}
