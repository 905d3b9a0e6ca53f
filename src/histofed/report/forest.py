"""Figures of many numbers with their intervals: hospitals, questions of a panel, quantities."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from histofed.core.words import counted
from histofed.report import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from histofed.core.evaluation.base import Measures, Metric
    from histofed.core.metrics import Interval
    from histofed.report.model import SiteResult

MOST_ROWS = 40
"""Of a figure that can still be read."""

FINDING = 0.05


class Row(NamedTuple):
    """One number of a forest; ``adjusted`` is its p-value allowing for all of them."""

    name: str
    counted: str
    interval: Interval | None
    adjusted: float | None


def forest_figure(rows: Sequence[Row], *, title: str, xlabel: str, chance: float) -> Figure:
    """Return a dot and whisker per row, the highest first; those that cannot be told come last.

    Of more than `MOST_ROWS` the highest are shown, and the title says of how many.
    """
    ordered = sorted(rows, key=lambda row: -row.interval.value if row.interval else 2.0)
    shown = ordered[:MOST_ROWS]
    if len(shown) < len(rows):
        title += f"\n(the {len(shown)} highest of {len(rows)}; all are in metrics.json)"
    with style.house_style():
        figure = style.new_figure(7.2, 1.4 + 0.34 * len(shown))
        axes = figure.add_subplot()
        axes.axvline(chance, color=style.QUIET, linewidth=1, linestyle=(0, (4, 4)))
        for y, row in enumerate(shown):
            if row.interval is None:
                _say_why(axes, y, chance)
                continue
            finding = row.adjusted is not None and row.adjusted < FINDING
            _dot_and_whisker(axes, row.interval, y, (style.BLUE, "o"), filled=finding)
        axes.set_yticks(range(len(shown)), [f"{row.name}  ({row.counted})" for row in shown])
        _limits(axes, [row.interval for row in shown], chance, len(shown) - 0.4, -0.6)
        axes.set(title=title, xlabel=xlabel)
    return figure


def site_figure(results: Sequence[SiteResult], measures: Measures) -> Figure:
    """Return the first metric of each arm at each hospital, as dots with bootstrap whiskers.

    A hospital whose patients cannot tell keeps its row, with words in place of the dot.
    """
    metric: Metric = measures.metrics[0]
    chance = 0.0 if metric.chance is None else metric.chance
    sites = list(dict.fromkeys(each.site for each in results))
    arms = list(dict.fromkeys(each.arm for each in results))
    first = {each.site: each for each in reversed(results)}
    with style.house_style():
        figure = style.new_figure(7.2, 1.5 + 0.3 * len(sites) * (len(arms) + 0.8))
        axes = figure.add_subplot()
        axes.axvline(chance, color=style.QUIET, linewidth=1, linestyle=(0, (4, 4)))
        colours, markers = style.colours(arms), style.markers(arms)
        for each in results:
            step = 0.8 / len(arms)
            y = sites.index(each.site) + (arms.index(each.arm) - (len(arms) - 1) / 2) * step
            found = each.result.numbers[metric.name]
            if found is not None:
                _dot_and_whisker(axes, found, y, (colours[each.arm], markers[each.arm]))
            elif each is first[each.site]:
                _say_why(axes, sites.index(each.site), chance)
        counts = {site: each.result.counts for site, each in first.items()}
        axes.set_yticks(
            range(len(sites)),
            [f"{s}\n{_counted(measures, counts[s])}" for s in sites],
        )
        every = [each.result.numbers[metric.name] for each in results]
        _limits(axes, every, chance, len(sites) - 0.45, -0.55)
        for boundary in range(1, len(sites)):
            axes.axhline(boundary - 0.5, color=style.GRID, linewidth=0.8)
        axes.set_title("Does it work at every hospital?")
        axes.set_xlabel(f"{metric.title} on the hospital's patients")
        for arm in arms:
            axes.plot([], [], markers[arm], color=colours[arm], label=arm)
        figure.legend(loc="outside lower center", ncols=len(arms))
    return figure


def _counted(measures: Measures, counts: dict[str, int]) -> str:
    kinds = measures.in_words(counts)
    return counted(counts["n_patients"], "patient") + (f", {kinds}" if kinds else "")


def _limits(
    axes: Axes, intervals: Sequence[Interval | None], chance: float, bottom: float, top: float
) -> None:
    lowest = min((each.low for each in intervals if each), default=chance)
    axes.set(xlim=(min(chance - 0.1, lowest - 0.03), 1.03), ylim=(bottom, top))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _say_why(axes: Axes, y: float, chance: float) -> None:
    words = "cannot be told from these patients"
    axes.text(chance + 0.02, y, words, va="center", color=style.QUIET)


def _dot_and_whisker(
    axes: Axes, found: Interval, y: float, look: tuple[str, str], *, filled: bool = True
) -> None:
    colour, marker = look
    axes.plot([found.low, found.high], [y, y], color=colour, linewidth=2, alpha=0.55)
    inside = colour if filled else "white"
    axes.plot(
        [found.value],
        [y],
        marker,
        color=colour,
        markerfacecolor=inside,
        markersize=6.5,
        label="_dot",
    )
