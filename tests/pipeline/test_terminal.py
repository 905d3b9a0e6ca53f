from __future__ import annotations

import io

from rich.console import Console

from histofed.pipeline import terminal


def test_a_log_file_gets_plain_lines(capsys):
    with terminal.stage("Tiles", 3, unit="slides") as step:
        for _ in range(3):
            step(note="a [strange] name")
    assert capsys.readouterr().out.startswith("Tiles: 3/3 slides in 0 s")


def test_long_work_says_so_every_now_and_then(monkeypatch, capsys):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(terminal.time, "monotonic", lambda: float(next(clock)))
    with terminal.stage("Tiles", 6, unit="slides") as step:
        for number in range(6):
            step(note=f"s{number} [b]")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Tiles: 3/6 slides, about 12 s left  s2 [b]"
    assert lines[-1].startswith("Tiles: 6/6 slides in")
    assert len(lines) == 2


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(terminal, "console", console)
    with terminal.stage("Tiles", 2, unit="slides") as step:
        step(2, note="[last]")
    shown = screen.getvalue()
    assert "2/2" in shown
    assert "[last]" in shown


def test_a_bar_moves_within_a_slide_and_never_back(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(terminal, "console", console)
    shown: list[float] = []
    update = terminal.Progress.update
    monkeypatch.setattr(
        terminal.Progress,
        "update",
        lambda self, bar, **new: (shown.append(new["completed"]), update(self, bar, **new)),
    )
    with terminal.stage("Tiles", 2, unit="slides") as step:
        step(0, note="a 50%", part=0.5)
        step(0, note="b 25%", part=0.25)  # while a waits to be encoded
        step(0, note="b 75%", part=0.75)
        step(2)
    assert shown == [0.5, 0.5, 0.75, 2]


def test_a_log_file_tells_of_the_first_slide_before_it_is_done(monkeypatch, capsys):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(terminal.time, "monotonic", lambda: float(next(clock)))
    with terminal.stage("Tiles", 2, unit="slides") as step:
        step(0, note="a 50%", part=0.5)
        step(2)
    assert capsys.readouterr().out.splitlines()[0] == "Tiles: 0/2 slides, about 60 s left  a 50%"


def test_words_of_users_are_not_markup(capsys):
    terminal.say("[red]patient[/] [/odd")
    terminal.table("T", ("name", "n"), [("[bold]x", "1")])
    terminal.closing("done", {"folder": "[/]"}, next_command="histofed [x]")
    shown = capsys.readouterr().out
    for text in ("[red]patient[/] [/odd", "[bold]x", "[/]", "histofed [x]"):
        assert text in shown
