"""Figures of training: round by round at each hospital, and epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from histofed.errors import ConfigError
from histofed.report import style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def rounds_figure(
    site_losses: Mapping[str, Sequence[float]],
    weighted_mean: Sequence[float],
    *,
    chosen_round: int,
) -> Figure:
    """Return the selection loss per round: one line per hospital and their weighted mean.

    Parameters
    ----------
    site_losses
        Hospital -> loss after round 1, 2, ...; NaN where the hospital was absent leaves a gap.
    weighted_mean
        Mean over hospitals weighted by patients, one per round.
    chosen_round
        The round whose model was kept, from 1.

    Raises
    ------
    ConfigError
        Series of different lengths, or a chosen round that was not run.
    """
    series = {**site_losses, "mean, weighted by patients": weighted_mean}
    _check_lengths(series, chosen_round, "round")
    with style.house_style():
        figure, axes = _wide_figure()
        colours, markers = style.colours(site_losses), style.markers(site_losses)
        rounds = range(1, len(weighted_mean) + 1)
        for site, losses in site_losses.items():
            axes.plot(
                rounds,
                losses,
                color=colours[site],
                marker=markers[site],
                markersize=4,
                linewidth=1.2,
                label=site,
            )
        axes.plot(rounds, weighted_mean, color=style.INK, linewidth=2.6, label="mean,\nby patients")
        _mark(axes, chosen_round, weighted_mean, f"round {chosen_round} kept")
        axes.set(title="How the hospitals learned together", xlabel="round", ylabel="loss")
        axes.set_ylabel("loss on selection patients")
        figure.legend(loc="outside right upper")
    return figure


def curves_figure(
    curves: Mapping[str, Sequence[float]],
    *,
    quantity: str = "loss",
    chosen_epoch: int | None = None,
) -> Figure:
    """Return training curves: name -> one value per epoch, from epoch 1.

    Raises
    ------
    ConfigError
        Curves of different lengths, or a chosen epoch that was not run.
    """
    _check_lengths(curves, chosen_epoch, "epoch")
    with style.house_style():
        figure, axes = _wide_figure()
        colours = style.colours(curves)
        for name, values in curves.items():
            axes.plot(range(1, len(values) + 1), values, color=colours[name], label=name)
        if chosen_epoch is not None:
            _mark(axes, chosen_epoch, list(curves.values())[-1], f"epoch {chosen_epoch} kept")
        axes.set(title="How the model learned", xlabel="epoch", ylabel=quantity)
        figure.legend(loc="outside right upper")
    return figure


def _wide_figure() -> tuple[Figure, Axes]:
    figure = style.new_figure(7.2, 4.0)
    axes = figure.add_subplot()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure, axes


def _mark(axes: Axes, step: int, values: Sequence[float], text: str) -> None:
    """Mark the kept round or epoch with a line, a ring on its value, and words."""
    axes.axvline(step, color=style.ACCENT, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    axes.plot(
        [step],
        [values[step - 1]],
        "o",
        color="white",
        markeredgecolor=style.ACCENT,
        markersize=9,
        markeredgewidth=2,
        zorder=4,
    )
    right = step > len(values) / 2
    axes.annotate(
        text,
        (step, 1),
        (-6 if right else 6, -10),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if right else "left",
        color=style.ACCENT,
    )


def _check_lengths(series: Mapping[str, Sequence[float]], chosen: int | None, unit: str) -> None:
    lengths = {name: len(values) for name, values in series.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        msg = f"each curve needs one value per {unit}, at least one; found {lengths}; "
        msg += f"fill a missing {unit} with NaN"
        raise ConfigError(msg)
    count = next(iter(lengths.values()))
    if chosen is not None and not 1 <= chosen <= count:
        msg = f"{unit} {chosen} was marked as kept, but {unit}s 1..{count} were run; "
        msg += f"{unit}s are counted from 1"
        raise ConfigError(msg)
