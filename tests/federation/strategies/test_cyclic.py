from __future__ import annotations

import pytest

from histofed.errors import FederationError
from histofed.federation.strategies.cyclic import Cyclic


def test_sites_take_turns_by_name():
    turns = [Cyclic().trainers(number, ["west", "east", "north"]) for number in range(1, 6)]
    assert turns == [("east",), ("north",), ("west",), ("east",), ("north",)]


def test_several_trained_sites_are_refused_by_name(numbers):
    updates = numbers.updates(numbers.rounds(1)[0])
    with pytest.raises(FederationError, match="one site a round, found a, b, c, d, e"):
        Cyclic().aggregate(updates[0].state, updates, {})
