"""What a report is made of: frozen rows, pictures and sections, before they become a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.metrics import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """One way of training (local-only, federated, pooled) on all held-out patients."""

    arm: str
    n_patients: int
    n_positive: int
    auroc: Interval
    auprc: Interval
    brier: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteResult:
    """One way of training on the held-out patients of one hospital.

    Attributes
    ----------
    auroc
        None where the hospital's patients are all of one class: there is nothing to rank.
    """

    site: str
    arm: str
    n_patients: int
    n_positive: int
    auroc: Interval | None


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
    """

    png: bytes
    alt: str
    how_to_read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, what was found, and the pictures that show it."""

    heading: str
    paragraph: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that `histofed.report.html.write_report` puts on the page.

    Attributes
    ----------
    caveats
        Shown at the top, before any number.
    summary, sites
        Rows of the two tables, in the order given; the first hospital row of an arm decides
        the order of columns.
    provenance
        How the numbers were made: versions, digests, seed, command.
    """

    title: str
    subtitle: str
    summary: tuple[ArmSummary, ...]
    sites: tuple[SiteResult, ...] = ()
    sections: tuple[Section, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()


HOW_TO_READ: Mapping[str, str] = {
    "roc": (
        "How to read: each step to the right accepts one more false alarm, each step up finds one "
        "more positive patient. Closer to the top left is better; the dashed diagonal is chance. "
        "The band is where 95% of resampled cohorts put the curve."
    ),
    "pr": (
        "How to read: going right, more of the positive patients are found; height is the share "
        "of called patients who truly are positive. The dashed line is what chance achieves."
    ),
    "calibration": (
        "How to read: a dot on the diagonal means that of the patients told 30%, 30% are "
        "positive. Above it the model says too little, below it too much; bars are 95% Wilson "
        "intervals, and the histogram shows how many patients got each probability."
    ),
    "sites": (
        "How to read: one dot per way of training and hospital, with its 95% interval. 0.5 is "
        "chance. Few patients make wide intervals; the models share their patients, so overlap "
        "alone neither shows nor rules out a difference."
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
