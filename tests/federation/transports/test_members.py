"""Whose process is gone, and for whom a run pauses; without a network."""

from __future__ import annotations

import time

import pytest

from histofed.federation.transports.nvflare import members as module
from histofed.federation.transports.nvflare.members import CRASHES, FORGIVE_S, GONE_S, Members
from histofed.federation.transports.nvflare.presence import Presence


@pytest.fixture
def clock(monkeypatch):
    """Return what moves the time on."""
    now = [time.time()]
    monkeypatch.setattr(module.time, "time", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def crashed(run, clock) -> Members:
    """Return the members of a job in which the process of ``south`` has just gone."""
    found = Members(run)
    assert found.gather(("south", "north")) == ["north", "south"]
    clock(module.START_S + GONE_S + 1)
    found.hear("north")
    Presence(run).write({"north": time.time(), "south": time.time()})
    return found


def test_whose_process_is_silent_has_left(tmp_path, clock):
    found = crashed(tmp_path, clock)
    assert found.left() == {"south"}
    assert found.returned() == ["south"]
    found.hear("south")
    assert found.left() == set()
    assert found.returned() == []


def test_a_run_pauses_a_few_times_in_a_row_and_once_an_hour_after(tmp_path, clock):
    for time_of_it in range(1, CRASHES + 1):
        found = crashed(tmp_path, clock)  # each job is a process of its own
        assert found.returned() == ["south"]
        assert found.pause_for(["south"]) == (["south"] if time_of_it == CRASHES else [])
    assert crashed(tmp_path, clock).returned() == []
    clock(FORGIVE_S)
    found = crashed(tmp_path, clock)
    assert found.returned() == ["south"]
    assert found.pause_for(["south"]) == ["south"]
    assert crashed(tmp_path, clock).returned() == []


def test_an_answer_makes_up_for_all_pauses(tmp_path, clock):
    for _ in range(CRASHES):
        crashed(tmp_path, clock).pause_for(["south"])
    crashed(tmp_path, clock).answered(["north"])
    assert crashed(tmp_path, clock).returned() == []
    crashed(tmp_path, clock).answered(["north", "south"])
    assert crashed(tmp_path, clock).returned() == ["south"]
