"""Figure of survival in groups of risk, with the patients still under observation below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from histofed.core.words import counted
from histofed.report import style
from histofed.report.words import p_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from histofed.core.evaluation.risk_groups import RiskGroups
    from histofed.core.survival.kaplan_meier import KaplanMeier

COLOURS = {"low risk": style.BLUE, "middle risk": style.ORANGE, "high risk": style.VERMILION}
"""Of the groups, whichever there are."""


def kaplan_meier_figure(groups: RiskGroups, *, name: str, unit: str) -> Figure:
    """Return the survival of each group with its interval, and an at-risk table below.

    Parameters
    ----------
    name
        Of the model, for the title.
    unit
        Of the time.
    """
    n_rows = len(groups.curves)
    with style.house_style():
        figure = style.new_figure(7.2, 4.4 + 0.5 * n_rows)
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 0.25 * n_rows + 0.1])
        for group, curve in groups.curves.items():
            _curve(axes, curve, COLOURS[group], _words(groups, group))
        latest = max(curve.times_T[-1] for curve in groups.curves.values())
        axes.set(xlim=(0, latest), ylim=(0, 1.02), ylabel="share without the event")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=latest > 6))
        axes.tick_params(labelbottom=True)
        axes.set_title(f"How do patients of each risk fare? ({name})")
        axes.set_xlabel(unit)
        test = groups.log_rank
        p_value = "cannot be told" if test is None else p_words(test.p_value)
        axes.text(0.985, 0.97, f"log-rank p {p_value}", transform=axes.transAxes, ha="right")
        figure.legend(loc="outside lower left")  # a curve may be anywhere inside
        _at_risk(below, groups, axes.get_xticks(), latest)
    return figure


def _curve(axes: Axes, curve: KaplanMeier, colour: str, label: str) -> None:
    times = np.concatenate([[0.0], curve.times_T])

    def steps(values: np.ndarray) -> np.ndarray:
        return np.concatenate([[1.0], values])

    axes.fill_between(
        times, steps(curve.low_T), steps(curve.high_T), step="post", color=colour, alpha=0.14,
        linewidth=0,
    )  # fmt: skip
    axes.step(times, steps(curve.survival_T), where="post", color=colour, label=label)
    lost = curve.censored_T > 0
    axes.plot(curve.times_T[lost], curve.survival_T[lost], "|", color=colour, markersize=6)


def _at_risk(axes: Axes, groups: RiskGroups, ticks: np.ndarray, latest: float) -> None:
    """Write who is still under observation at each tick."""
    for row, (group, curve) in enumerate(groups.curves.items()):
        at = [tick for tick in ticks if 0 <= tick <= latest]
        for tick, n_left in zip(at, curve.n_at_risk(at), strict=True):
            axes.text(tick, row, f"{n_left:.0f}", ha="center", va="center", color=COLOURS[group])
    axes.set_yticks(range(len(groups.curves)), list(groups.curves))
    axes.set(ylim=(len(groups.curves) - 0.4, -0.6))
    axes.set_title("patients under observation", fontsize=9.5, fontweight="normal", pad=4)
    axes.grid(visible=False)
    axes.tick_params(length=0, labelbottom=False, pad=14)  # a number stands on the axis
    for side in axes.spines.values():
        side.set_visible(False)


def _words(groups: RiskGroups, group: str) -> str:
    n_patients, n_events = groups.n_patients[group], groups.n_events[group]
    return f"{group}: {counted(n_patients, 'patient')}, {n_events} with the event"
