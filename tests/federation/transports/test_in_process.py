from __future__ import annotations

import dataclasses
import random
import signal
import threading
import time

import numpy as np
import pytest
import torch

from histofed.errors import ConfigError, FederationError
from histofed.federation.history import rows
from histofed.federation.messages import Round
from histofed.federation.random_state import RandomState, undisturbed
from histofed.federation.run_plan import Selection
from histofed.federation.state import state_of
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.transports.in_process import run_sites
from histofed.federation.wire import decode_update, encode_update

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def run(sites, toy, *, rounds: int = 3, seed: int = 5, **options):
    """Run from a given random state and leave the tests' own alone."""
    start = options.pop("start", None) or state_of(toy.module())
    with undisturbed():
        torch.manual_seed(seed)
        return run_sites(sites, FedAvg(), initial_state=start, rounds=rounds, **options)


def three(toy, **options) -> dict:
    sizes = {"north": 12, "south": 8, "west": 20}
    return {
        name: toy.site(name, n=n, seed=seed, **options)
        for seed, (name, n) in enumerate(sizes.items())
    }


@pytest.mark.parametrize("every", [1, 2])
def test_one_site_is_plain_training_bit_for_bit(toy, every):
    plain = toy.module(3)
    with undisturbed():
        torch.manual_seed(5)
        toy.trainer(max_epochs=4).fit(plain, toy.loader(toy.data(14, 0)))
    site = toy.site("only", n=14, epochs=4, every=every, keep_optimizer=True)
    result = run({"only": site}, toy, rounds=4 // every, start=state_of(toy.module(3)))
    assert toy.same(result.state, state_of(plain))
    assert result.state["net.1.num_batches_tracked"] == 16


class Halved:
    """An exchange over a wire that carries float16 differences."""

    def __init__(self, exchange) -> None:
        self.exchange = exchange

    def pull(self) -> Round:
        current = self.exchange.pull()
        self.base = {name: value.clone() for name, value in current.state.items()}
        return current

    def push(self, update) -> None:
        self.exchange.push(decode_update(encode_update(update, base=self.base), base=self.base))


def test_updates_in_half_precision_give_the_bits_of_a_network(toy):
    whole = run(three(toy), toy)
    half = run(three(toy), toy, update_dtype="float16")
    bodies = {
        name: lambda exchange, body=body: body(Halved(exchange))
        for name, body in three(toy).items()
    }
    carried = run(bodies, toy)
    assert toy.same(half.state, carried.state)
    assert half.history == carried.history
    assert not toy.same(half.state, whole.state)


def test_forgetting_the_optimizer_makes_a_difference(toy):
    kept, forgot = (
        run({"only": toy.site("only", keep_optimizer=keep)}, toy).state for keep in (True, False)
    )
    assert not torch.equal(kept["net.0.weight"], forgot["net.0.weight"])


def test_sites_of_one_full_step_are_one_pooled_step(toy):
    sizes = {"a": 5, "b": 17, "c": 9}
    options = {"plain": True, "adam": False, "epochs": 1, "batch_size": 99}
    sites = {name: toy.site(name, n=n, seed=n, **options) for name, n in sizes.items()}
    federated = run(sites, toy, rounds=1, start=state_of(toy.module(3, plain=True))).state

    pooled = toy.module(3, plain=True, adam=False)
    data = torch.utils.data.ConcatDataset([toy.data(n, n) for n in sizes.values()])
    toy.trainer(max_epochs=1).fit(pooled, toy.loader(data, batch_size=99))
    for name, value in state_of(pooled).items():
        torch.testing.assert_close(federated[name], value, atol=1e-6, rtol=0)


def test_permuted_sites_and_thread_timing_change_no_bit(toy):
    calm = run(three(toy), toy)
    clock = random.Random(0)
    sites = three(toy, before=lambda: time.sleep(clock.random() / 20))
    other = run(dict(reversed(sites.items())), toy)
    assert toy.same(calm.state, other.state)
    assert calm.history == other.history
    assert not toy.same(calm.state, run(three(toy), toy, seed=6).state)


def test_a_site_computes_the_same_whatever_the_others_draw(toy):
    """Round 1 of a site does not depend on who else is there."""

    def first_loss(sites) -> float:
        return run(sites, toy, rounds=1).history[0].metrics["west"]["train_loss"]

    def noisy() -> None:
        torch.rand(7), np.random.rand(3), random.random()  # noqa: NPY002

    together = three(toy, epochs=1, before=noisy)
    alone = three(toy, epochs=1)["west"]
    noisy_alone = {"west": three(toy, epochs=1, before=noisy)["west"]}
    assert first_loss(together) == first_loss(noisy_alone)
    assert first_loss({"west": alone}) != first_loss(noisy_alone)


def test_the_callers_generators_are_left_alone(toy):
    before = RandomState.capture()
    run_sites(three(toy), FedAvg(), initial_state=state_of(toy.module()), rounds=3)
    after = RandomState.capture()
    assert before.python == after.python
    assert torch.equal(before.cpu, after.cpu)
    np.testing.assert_equal(before.numpy, after.numpy)


def test_every_global_model_is_evaluated_everywhere_and_the_best_is_kept(toy):
    modules, lines = {}, []
    result = run(
        three(toy, modules=modules), toy, selection=Selection("val_loss", "min"),
        on_round=lambda record: lines.append((threading.current_thread(), record)),
    )  # fmt: skip
    assert [record.model for record in result.history] == [0, 1, 2, 3]
    assert tuple(record for _, record in lines) == result.history
    assert {thread for thread, _ in lines} == {threading.current_thread()}
    assert len(rows(result.history)) == 12
    assert all("val_loss" in metrics for r in result.history for metrics in r.metrics.values())
    scores = [record.score for record in result.history[1:]]
    assert result.best_round == 1 + scores.index(min(scores))
    assert set(modules) == {"north", "south", "west"}
    assert all(toy.same(state_of(module), result.state) for module in modules.values())
    for site, metrics in result.history[-1].metrics.items():
        seed = ["north", "south", "west"].index(site)
        loss = toy.evaluator(toy.data(8, seed + 100))
        with undisturbed(), torch.no_grad():
            expected = loss(modules[site].eval())["val_loss"]
        assert metrics["val_loss"] == pytest.approx(expected)


def test_turns_go_by_the_names_of_the_sites(toy):
    turns = []

    def body(name):
        def run_site(exchange) -> None:
            for _ in range(2):
                current = exchange.pull()
                turns.append((current.number, name))
                state = {} if current.final else current.state
                exchange.push(toy.update(current, name, state))

        return run_site

    result = run({name: body(name) for name in "cab"}, toy, rounds=1)
    assert turns == [(number, name) for number in (1, 2) for name in "abc"]
    assert list(result.history[0].metrics) == ["a", "b", "c"]


class Tampering:
    """An exchange that spoils one site's update of one round."""

    def __init__(self, exchange, spoil, round_number: int) -> None:
        self.exchange, self.spoil, self.round_number = exchange, spoil, round_number
        self.pull = exchange.pull

    def push(self, update) -> None:
        self.exchange.push(self.spoil(update) if update.round == self.round_number else update)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda u: {"state": {**u.state, "net.0.bias": torch.full((4,), torch.nan)}}, "net.0.bias"),
        (lambda u: {"state": {**u.state, "net.0.bias": torch.ones(1)}}, "found \\(1,\\)"),
        (lambda u: {"state": {}}, "is missing"),
        (lambda u: {"state": {**u.state, "more": torch.ones(1)}}, "'more' is unknown"),
        (lambda u: {"n_patients": 10**12}, "found 1000000000000"),
        (lambda u: {"n_patients": -79}, "found -79"),
        (lambda u: {"round": 1}, "it answers round 1"),
    ],
)
def test_a_refused_update_is_named_and_the_round_goes_on_without_it(toy, spoil, reason):
    sites = three(toy)
    honest = sites["south"]
    sites["south"] = lambda exchange: honest(
        Tampering(exchange, lambda u: dataclasses.replace(u, **spoil(u)), 2)
    )
    result = run(sites, toy)
    assert [list(record.refused) for record in result.history] == [[], ["south"], [], []]
    with pytest.raises(AssertionError, match=f"site south, round 2: update refused: .*{reason}"):
        raise AssertionError(result.history[1].refused["south"])
    assert sorted(result.history[1].metrics) == ["north", "west"]
    assert all(torch.isfinite(value).all() for value in result.state.values())


def test_without_a_quorum_the_run_ends_and_says_who(toy):
    sites = three(toy)
    for name in ("south", "west"):
        sites[name] = lambda exchange, honest=sites[name]: honest(
            Tampering(exchange, lambda u: dataclasses.replace(u, n_patients=0), 2)
        )
    with pytest.raises(FederationError, match=r"(?s)round 2 of 3: 1 update.*site south.*site west"):
        run(sites, toy)


def fails_in_round_2(toy, name: str):
    calls = []

    def evaluate(module) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            msg = "disk gone"
            raise OSError(msg)
        return {}

    return toy.site(name, evaluate=evaluate)


@pytest.mark.parametrize("name", ["north", "south", "west"])
def test_a_site_that_raises_is_recorded_and_stays_out_of_all_later_rounds(toy, name):
    sites = three(toy)
    sites[name] = fails_in_round_2(toy, name)
    history = run(sites, toy).history
    assert [sorted(record.metrics) for record in history] == [
        ["north", "south", "west"],
        *[sorted(sites.keys() - {name})] * 3,
    ]
    why = f"site {name}, round 2 of 3: the site failed: OSError: disk gone"
    assert [record.absent for record in history] == [{}, *[{name: why}] * 3]


def test_sites_that_raise_end_the_run_where_no_quorum_is_left(toy):
    sites = three(toy)
    sites.update({name: fails_in_round_2(toy, name) for name in ("north", "west")})
    started = time.monotonic()
    with pytest.raises(
        FederationError, match=r"(?s)site north, round 2 of 3: .*west.*gone"
    ) as info:
        run(sites, toy)
    assert isinstance(info.value.__cause__.__cause__, OSError)
    assert time.monotonic() - started < 20


def test_the_other_sites_are_told_why_they_end(toy):
    told = []

    def patient(exchange) -> None:
        exchange.push(toy.update(exchange.pull(), "a", state_of(toy.module())))
        try:
            exchange.pull()
        except FederationError as error:
            told.append(str(error))
            raise

    def hasty(exchange) -> None:
        raise SystemExit(3)

    with pytest.raises(FederationError, match="site b, round 1 of 3: the site failed: SystemExit"):
        run({"a": patient, "b": hasty}, toy)
    assert told == ["site a: the run was ended"]


def test_a_callback_of_the_caller_that_raises_ends_the_sites_too(toy):
    def stop(record) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(three(toy), toy, on_round=stop)


def test_ctrl_c_in_the_middle_of_a_turn_does_not_wait_for_the_turn(toy):
    told, go_on = [], threading.Event()

    def busy(exchange) -> None:
        current = exchange.pull()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        go_on.wait(60)
        try:
            exchange.push(toy.update(current, "a", current.state))
        except FederationError as error:
            told.append(str(error))

    # A shell's background job ignores Ctrl-C, and Python then never raises.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run({"a": busy}, toy)
    finally:
        signal.signal(signal.SIGINT, before)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "site-a")
    go_on.set()
    thread.join(60)
    assert told == ["site a: the run was ended"]


def body_of(*steps):
    """A site that pulls and pushes as told, with sound updates."""

    def body(exchange) -> None:
        current = Round(number=1, total=1, state={})
        for step in steps:
            if step == "pull":
                current = exchange.pull()
            else:
                state = {} if current.final else {"w": torch.ones(1)}
                exchange.push(step(current, state))

    return body


@pytest.mark.parametrize(
    ("steps", "match"),
    [
        ([], "round 1 of 1: the site's run ended without an answer"),
        (["pull"], "round 1 of 1: the site's run ended without an answer"),
        (["pull", "push"], "round 2 of 1: the site's run ended without an answer"),
        (["pull", "push", "pull"], "round 2 of 1: the site's run ended without an answer"),
        (["push"], "pushed without a round to answer"),
        (["pull", "push", "push"], "pushed without a round to answer"),
        (["pull", "pull"], "round 1 was pulled twice"),
        (["pull", "push", "pull", "push", "pull"], "the final round has been answered"),
    ],
)
def test_a_site_that_breaks_the_conversation_is_named(toy, steps, match):
    def push(current, state):
        return toy.update(current, "a", state)

    body = body_of(*[push if step == "push" else step for step in steps])
    with pytest.raises(FederationError, match=f"site a.*{match}"):
        run({"a": body}, toy, rounds=1, start={"w": torch.zeros(1)})


def test_a_site_cannot_reach_into_the_global_model(toy):
    def vandal(exchange) -> None:
        for _ in range(2):
            current = exchange.pull()
            state = {} if current.final else {"w": current.state["w"].clone()}
            current.state["w"].fill_(666.0)
            exchange.push(toy.update(current, "a", state))

    seen = []

    def witness(exchange) -> None:
        for _ in range(2):
            current = exchange.pull()
            seen.append(current.state["w"].item())
            state = {} if current.final else current.state
            exchange.push(toy.update(current, "b", state))

    result = run({"a": vandal, "b": witness}, toy, rounds=1, start={"w": torch.zeros(1)})
    assert seen == [0.0, 0.0]
    assert result.state["w"].item() == 0.0


def test_no_site_is_refused(toy):
    with pytest.raises(ConfigError, match="number of sites"):
        run({}, toy)
