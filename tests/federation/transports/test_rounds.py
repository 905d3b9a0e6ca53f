"""The server's end without a network: what one hospital says spoils nothing for the others."""

from __future__ import annotations

import pytest
import torch

from histofed.errors import FederationError
from histofed.federation.wire import pack

pytest.importorskip("nvflare")
from histofed.federation.transports.nvflare.rounds import Answers, Rounds
from histofed.federation.transports.nvflare.talk import opened_from, refusal


class Work:
    """What these tests need of a server's work."""

    run, sites, quorum = "toy", ("north", "south", "west"), 2

    def check(self, facts) -> None:
        assert all(each == {"dim": 3} for each in facts.values())

    def faults_in(self, sums) -> dict[str, str]:
        return {site: "no number" for site, each in sums.items() if "n" not in each}


class Diary:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def rounds():
    """Return rounds whose sites answer with given messages."""

    def made(**messages: bytes) -> Rounds:
        found = Rounds()
        found._work, found._diary = Work(), Diary()
        found._sites = sorted(messages)
        found._ask = lambda *_: Answers(dict(messages), {})
        return found

    return made


def sums(n: int, *, name: str = "n", run: str = "toy") -> bytes:
    return pack("sums", {"run": run, "part": "fold-0"}, {"sums": {name: torch.tensor([n])}})


@pytest.mark.parametrize("bad", [b"", sums(1, run="other"), sums(1, name="m")])
def test_sums_that_cannot_be_used_are_one_hospitals_refusal(rounds, bad):
    server = rounds(north=sums(12), south=sums(8), west=bad)
    assert server._sums("fold-0") == {
        "north": {"n": torch.tensor([12])},
        "south": {"n": torch.tensor([8])},
    }
    (line,) = server._diary.lines
    assert line.startswith("site west")


def test_too_few_sums_that_can_be_used_stop_the_run(rounds):
    with pytest.raises(FederationError, match=r"(?s)sums: 1 hospital of 3.*site south.*no number"):
        rounds(north=sums(12), south=sums(8, name="m"))._sums("fold-0")


def test_a_handshake_that_cannot_be_read_is_one_hospitals_refusal(rounds):
    def told(**fields) -> bytes:
        return pack("handshake", {"run": "toy", "part": "", **fields})

    facts = {"facts": {"dim": 3}}
    server = rounds(north=told(**facts), south=told(**facts), west=told(run="other", **facts))
    assert server._shake_hands(["north", "south", "west"]) == ["north", "south"]
    assert "run 'other'" in server._diary.lines[0]


def test_a_refusal_is_one_line_of_the_servers_diary():
    with pytest.raises(FederationError) as raised:
        opened_from(
            refusal("no\n2026-01-01T00:00:00Z  run over\x1b[2J"), site="west", authority=b""
        )
    assert str(raised.value) == "site west says no: no 2026-01-01T00:00:00Z  run over [2J"
