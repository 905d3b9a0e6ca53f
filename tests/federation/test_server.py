from __future__ import annotations

import dataclasses

import pytest
import torch

from histofed.errors import ConfigError, FederationError
from histofed.federation.run_plan import RunPlan, Selection
from histofed.federation.server import Server
from histofed.federation.strategies.cyclic import Cyclic
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.strategies.fedopt import FedAdagrad
from histofed.federation.strategies.krum import Krum
from histofed.federation.strategies.scaffold import Scaffold

START = {"w": torch.tensor([0.0])}


def make_server(
    sites: str = "abc", rounds: int = 2, *, strategy=None, start=START, trainable=(), **options
) -> Server:
    plan = RunPlan(sites=sites, rounds=rounds, **options)
    return Server(strategy or FedAvg(), plan, initial_state=start, trainable=trainable)


def answer(server: Server, toy, site: str, value: float, *, n: int = 10, **metrics: float):
    state = {} if server.round.final else {"w": torch.tensor([float(value)])}
    return toy.update(server.round, site, state, n=n, **metrics)


def test_rounds_aggregate_and_the_final_one_only_evaluates(toy):
    server = make_server()
    values = {"a": 1.0, "b": 2.0, "c": 6.0}
    for number, expected in ((1, 3.0), (2, 3.0), (3, 3.0)):
        assert not server.over
        assert server.round.number == number
        assert server.round.final == (number == 3)
        server.close({site: answer(server, toy, site, value) for site, value in values.items()})
        assert server.round.state["w"].item() == expected
    assert server.over
    result = server.result()
    assert result.state["w"].item() == 3.0
    assert result.best_round == 2
    assert [record.number for record in result.history] == [1, 2, 3]


def test_a_refused_site_poisons_nothing_and_is_recorded_by_name(toy):
    server = make_server()
    record = server.close(
        {
            "a": answer(server, toy, "a", 1.0),
            "b": answer(server, toy, "b", float("nan")),
            "c": answer(server, toy, "c", 3.0),
        }
    )
    assert server.round.state["w"].item() == 2.0
    assert list(record.refused) == ["b"]
    assert "site b, round 1: update refused: tensor 'w'" in record.refused["b"]
    assert record.n_patients == {"a": 10, "c": 10}


def test_below_the_quorum_the_run_ends_with_every_reason(toy):
    server = make_server()
    answers = {site: answer(server, toy, site, float("inf")) for site in "ab"}
    answers["c"] = answer(server, toy, "c", 1.0)
    with pytest.raises(
        FederationError, match=r"1 update accepted of 3 sites.* quorum is 2"
    ) as info:
        server.close(answers)
    assert "site a, round 1" in str(info.value)
    assert "site b, round 1" in str(info.value)
    make_server(quorum=1).close(answers)


@pytest.mark.parametrize(("sites", "quorum"), [("a", 1), ("ab", 2), ("abc", 2), ("abcd", 3)])
def test_the_default_quorum_is_a_majority(sites, quorum):
    assert make_server(sites).quorum == quorum


@pytest.mark.parametrize(
    ("learning_rate", "match"),
    [(1e39, "'w' must be finite"), (11.0, "the global model moved by 11, 11 times its own norm")],
)
def test_a_model_that_no_site_would_take_is_not_committed(toy, tmp_path, learning_rate, match):
    strategy, plan = FedAdagrad(learning_rate=learning_rate), RunPlan(sites="ab", rounds=3)
    server = Server(strategy, plan, initial_state=START, trainable=["w"], folder=tmp_path)
    with pytest.raises(FederationError, match=f"round 1 of 3: .*FedAdagrad.*{match}"):
        server.close({site: answer(server, toy, site, 1.0) for site in "ab"})
    assert Server.resume(strategy, plan, folder=tmp_path).round.number == 1


def test_order_of_arrival_and_of_naming_leaves_no_trace(toy):
    server = make_server("cab")
    assert server.sites == ("a", "b", "c")
    record = server.close({site: answer(server, toy, site, 1.0) for site in "bca"})
    assert list(record.metrics) == ["a", "b", "c"]


def test_initial_state_is_copied():
    start = {"w": torch.tensor([1.0])}
    server = make_server("a", 1, start=start)
    start["w"].zero_()
    assert server.round.state["w"].item() == 1.0


@pytest.mark.parametrize(("mode", "best"), [("max", 2), ("min", 1)])
def test_the_best_round_is_weighted_by_patients_and_never_the_initial_model(toy, mode, best):
    server = make_server("ab", rounds=3, selection=Selection("auc", mode))
    # Metrics of the incoming models 0 (initial), 1, 2, 3. By n = 30, 10 model 2 wins, though the
    # plain mean would choose 3.
    scores = [(0.99, 0.99), (0.2, 0.2), (0.9, 0.5), (0.7, 0.9)]
    if mode == "min":
        scores[0] = (0.01, 0.01)
    for number, (a, b) in enumerate(scores, start=1):
        record = server.close(
            {
                "a": answer(server, toy, "a", number, n=30, auc=a),
                "b": answer(server, toy, "b", number, n=10, auc=b),
            }
        )
        assert record.score == pytest.approx((30 * a + 10 * b) / 40)
    result = server.result()
    assert result.best_round == best
    assert result.best_state["w"].item() == best
    assert result.state["w"].item() == 3.0


def test_of_equal_scores_the_earlier_model_stays_and_the_last_can_win(toy):
    for scores, best in (((0.1, 0.5, 0.5), 1), ((0.1, 0.4, 0.5), 2)):
        server = make_server("a", selection=Selection("auc"))
        for score in scores:
            server.close({"a": answer(server, toy, "a", 1.0, auc=score)})
        assert server.result().best_round == best


def test_a_site_without_the_metric_has_no_vote_but_someone_needs_one(toy):
    server = make_server("ab", selection=Selection("auc"))
    record = server.close(
        {"a": answer(server, toy, "a", 1, auc=0.6), "b": answer(server, toy, "b", 1, n=99)}
    )
    assert record.score == pytest.approx(0.6)
    with pytest.raises(FederationError, match=r"no site reports 'auc'.*reported: loss"):
        server.close({site: answer(server, toy, site, 1, loss=1.0) for site in "ab"})


def test_impossible_runs_are_refused(toy):
    with pytest.raises(ConfigError, match="rounds must be at least 1, got 0"):
        make_server(rounds=0)
    with pytest.raises(ConfigError, match=r"quorum must be in 1\.\.3.*got 4"):
        make_server(quorum=4)
    with pytest.raises(ConfigError, match="none"):
        make_server("")
    with pytest.raises(ConfigError, match="got 'best'"):
        Selection("auc", "best")
    with pytest.raises(FederationError, match="its result comes after"):
        make_server().result()


def test_a_strategy_says_who_trains_and_the_others_only_evaluate(toy):
    server = make_server("ab", strategy=Cyclic(), selection=Selection("auc"))
    for turn, resting, value in (("a", "b", 3.0), ("b", "a", 5.0)):
        assert server.round.trains(turn)
        assert not server.round.trains(resting)
        answers = {
            turn: answer(server, toy, turn, value, auc=0.5),
            resting: toy.update(server.round, resting, {}, auc=0.7),
        }
        record = server.close(answers)
        assert list(record.metrics) == ["a", "b"]
        assert record.score == pytest.approx(0.6)
        assert server.round.state["w"].item() == value
    assert not any(server.round.trains(site) for site in "ab")


def test_who_is_refused_loses_its_turn_and_nobody_trains_out_of_turn(toy):
    server = make_server(strategy=Cyclic(), quorum=1)
    answers = {
        "a": answer(server, toy, "a", float("nan")),
        "b": answer(server, toy, "b", 9.0),
        "c": toy.update(server.round, "c", {}),
    }
    record = server.close(answers)
    assert record.refused.keys() == {"a", "b"}
    assert "tensor 'w' is unknown" in record.refused["b"]
    assert server.round.state["w"].item() == 0.0
    assert server.round.trains("b")


def test_controls_travel_with_the_rounds(toy):
    server = make_server("ab", 1, strategy=Scaffold("equal"), trainable=["w"])
    assert server.round.controls["w"].item() == 0.0
    server.close(
        {
            site: dataclasses.replace(
                answer(server, toy, site, 1.0), controls={"w": torch.tensor([value])}
            )
            for site, value in (("a", 1.0), ("b", 5.0))
        }
    )
    assert server.round.controls["w"].item() == 3.0


def test_a_default_quorum_is_no_smaller_than_the_strategy_needs():
    assert make_server("abcdefg", strategy=Krum()).quorum == 5
