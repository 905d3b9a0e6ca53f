"""What a person at the terminal sees: progress on long work, and a closing panel.

On a terminal a stage is a progress bar; elsewhere (a log file, a batch job) it is a plain line
every ten seconds or so.
"""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SECONDS_BETWEEN_LINES = 10.0

_inside_another_verb = False

options_typed: Sequence[str] = ()
"""The options as the person typed them."""

console = Console(highlight=False, soft_wrap=True)


@contextmanager
def stage(title: str, total: int, *, unit: str) -> Iterator[Callable[..., None]]:
    """Show the progress of ``total`` units of work.

    Yields
    ------
    step
        ``step(n=1, note="", part=0.0)`` says that ``n`` more are done, and how much of the next:
        the estimate of the time left need not wait for a whole one.
    """
    show = _bar if console.is_terminal else _lines
    with show(title, total, unit) as step:
        yield step


@contextmanager
def _bar(title: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
    columns = (
        TextColumn("[bold]{task.description:12}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("[dim]left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(escape(title), total=total, note="")

        done, shown = 0, 0.0

        def step(n: int = 1, note: str = "", part: float = 0.0) -> None:
            nonlocal done, shown
            done += n
            # The parts of two in turn go up and down, and a part is never a whole one.
            shown = max(shown, done + min(part, 0.99))
            progress.update(bar, completed=shown, note=escape(note))

        yield step


@contextmanager
def _lines(title: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
    started = said = time.monotonic()
    done = 0

    def step(n: int = 1, note: str = "", part: float = 0.0) -> None:
        nonlocal done, said
        done += n
        now = time.monotonic()
        if now - said >= SECONDS_BETWEEN_LINES and done < total:
            said = now
            made = done + part
            left = f"about {(now - started) / made * (total - made):.0f} s left  " if made else ""
            console.print(escape(f"{title}: {done}/{total} {unit}, {left}{note}"))

    yield step
    console.print(escape(f"{title}: {done}/{total} {unit} in {time.monotonic() - started:.0f} s"))


@contextmanager
def inside_another_verb() -> Iterator[None]:
    """Name no next command meanwhile: the verb that calls others goes on by itself."""
    global _inside_another_verb
    _inside_another_verb = True
    try:
        yield
    finally:
        _inside_another_verb = False


def say(text: str) -> None:
    """Print one plain line."""
    console.print(escape(text))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a small table; the first column is words, the others are numbers."""
    shown = Table(title=title, title_justify="left", header_style="bold")
    for index, name in enumerate(columns):
        shown.add_column(escape(name), justify="right" if index else "left")
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row))
    console.print(shown)


def same_options(verb: str, *, without: Sequence[str] = ("overwrite",)) -> str:
    """Return the command of another verb with the options of this one, ready to be copied.

    A verb that goes on from another's results refuses them if its options are others.

    Parameters
    ----------
    without
        Options that are left out: what is asked for once, to replace results.
    """
    options = [each for each in options_typed if each.partition("=")[0] not in without]
    return shlex.join(["histofed", verb, *options])


def closing(title: str, facts: Mapping[str, str], *, next_command: str = "") -> None:
    """Print what was done, where it is, and what to do next."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(escape(name), escape(value))
    console.print(Panel(grid, title=f"[bold]{escape(title)}[/]", title_align="left", expand=False))
    if next_command and not _inside_another_verb:
        # Below the panel, unfolded, so that it can be copied.
        console.print(f"next: [bold]{escape(next_command)}[/]")
