"""A server that is killed after any round and resumed ends as one that was not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from histofed.errors import ConfigError, FederationError, StoreError
from histofed.federation.commits import commits_in
from histofed.federation.run_plan import RunPlan, Selection
from histofed.federation.server import Server
from histofed.federation.strategies.base import Outcome, Strategy
from histofed.federation.strategies.fedavg import FedAvg

START = {"w": torch.tensor([0.1, 0.2]), "count": torch.tensor(0)}
OPTIONS = {
    "sites": "ab", "rounds": 3, "selection": Selection("auc"), "run": "trial", "config": "c0ffee",
}  # fmt: skip


@dataclass(frozen=True)
class Momentum(Strategy):
    """A rule with a memory: the next model depends on all the rounds before."""

    share: float = 0.9

    def start(self, state, **_):
        return {"velocity": torch.zeros_like(state["w"])} if state else {}

    def controls(self, memory):
        return {"velocity": memory["velocity"]} if memory else {}

    def aggregate(self, state, updates, memory):
        mean = FedAvg().aggregate(state, updates, {}).state
        velocity = self.share * memory["velocity"] + mean["w"] - state["w"]
        return Outcome({**mean, "w": state["w"] + velocity}, {"velocity": velocity})


def play(server: Server, toy, until: int = 9) -> None:
    """Close the rounds up to ``until``; each site's answer depends on the model it was given."""
    while not server.over and server.round.number <= until:
        current = server.round
        answers = {}
        for factor, site in ((0.7, "a"), (1.9, "b")):
            state = {
                "w": current.state["w"] * factor + current.controls["velocity"].sum() + 0.3,
                "count": current.state["count"] + 5,
            }
            sent = {} if current.final else state
            answers[site] = current.answer(
                site,
                sent,
                n_patients=10,
                n_steps=4,
                controls=sent and {"velocity": torch.ones(2)},
                metrics={"auc": 0.3 + 0.1 * (current.number == 3)},
            )
        server.close(answers)


def start(folder=None, strategy=None, **options) -> Server:
    plan = RunPlan(**{**OPTIONS, **options})
    return Server(strategy or Momentum(), plan, initial_state=START, folder=folder)


def resume(folder, strategy=None, **options) -> Server:
    plan = RunPlan(**{**OPTIONS, **options})
    return Server.resume(strategy or Momentum(), plan, folder=folder)


@pytest.mark.parametrize("killed_after", [0, 1, 2, 3, 4])
def test_a_resumed_run_ends_bit_for_bit_as_one_that_was_not_killed(toy, tmp_path, killed_after):
    calm = start()
    play(calm, toy)
    play(start(tmp_path), toy, until=killed_after)
    server = resume(tmp_path)
    assert server.over == (killed_after == 4)
    assert server.round.number == min(killed_after, 3) + 1
    play(server, toy)
    found, expected = server.result(), calm.result()
    assert toy.same(found.state, expected.state)
    assert toy.same(found.best_state, expected.best_state)
    assert found.best_round == expected.best_round == 2
    assert found.history == expected.history
    assert commits_in(tmp_path) == [3, 4]


def test_a_resumed_round_takes_the_answers_to_the_same_round_before(toy, tmp_path):
    """A site need not know that the server was away."""
    server = start(tmp_path)
    before = server.round
    after = resume(tmp_path).round
    assert (after.run, after.number, after.base) == (before.run, before.number, before.base)


def test_a_round_that_fails_is_not_committed(toy, tmp_path):
    server = start(tmp_path)
    with pytest.raises(FederationError, match="quorum"):
        server.close({})
    assert commits_in(tmp_path) == [0]
    assert server.round.number == 1


def test_after_a_damaged_commit_the_round_before_is_taken_and_it_is_said(toy, tmp_path, caplog):
    play(start(tmp_path), toy, until=2)
    file = tmp_path / "round-0002.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    server = resume(tmp_path)
    assert server.round.number == 2
    (said,) = caplog.messages
    assert "round-0002.safetensors" in said
    assert said.endswith("the run goes on from round 2")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"run": "pilot"}, "run is 'pilot', was 'trial'"),
        ({"config": "beef"}, "config is 'beef', was 'c0ffee'"),
        ({"strategy": Momentum(0.5)}, r"strategy is 'Momentum\(share=0.5\)', was .*0.9"),
        ({"strategy": FedAvg()}, r"strategy is .*FedAvg"),
        ({"sites": "abc"}, "sites is .*'c'"),
        ({"rounds": 4}, "rounds is 4, was 3"),
        ({"selection": None}, "selection is 'None'"),
    ],
)
def test_a_journal_of_another_run_is_refused_by_what_differs(tmp_path, options, match):
    start(tmp_path)
    with pytest.raises(StoreError, match=match):
        resume(tmp_path, **options)


def test_the_quorum_may_be_lowered_when_a_hospital_has_left(tmp_path):
    start(tmp_path, quorum=2)
    assert resume(tmp_path, quorum=1).quorum == 1


def test_a_folder_that_holds_a_run_is_not_overwritten(toy, tmp_path):
    play(start(tmp_path), toy, until=2)
    with pytest.raises(ConfigError, match="holds a federated run up to round 2; resume it"):
        start(tmp_path)
    with pytest.raises(StoreError, match="there is no commit"):
        resume(tmp_path / "elsewhere")
