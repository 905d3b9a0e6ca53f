"""Visiting sites one at a time gives what running them side by side does, bit for bit."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from histofed.errors import FederationError
from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.callbacks.scaffold import ScaffoldCorrection
from histofed.federation.private import shared
from histofed.federation.random_state import undisturbed
from histofed.federation.run_plan import Selection
from histofed.federation.state import state_of, trainable_names
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.strategies.fedopt import FedAdam
from histofed.federation.strategies.scaffold import Scaffold
from histofed.federation.transports.in_process import run_sites
from histofed.federation.transports.one_at_a_time import visit_sites

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]

SIZES = {"north": 12, "south": 8, "west": 20}
ROUNDS = 3


def body_of(toy, name: str, seed: int, *rules, every: int = 1, **options):
    """Return a site's run; without a folder it keeps nothing."""

    def body(exchange, memory=None) -> None:
        callback = FederatedCallback(
            exchange,
            site=name,
            n_patients=SIZES[name],
            every=every,
            evaluate=toy.evaluator(toy.data(8, seed + 100)),
            memory=memory,
            **options,
        )
        trainer = toy.trainer(callback, *[rule() for rule in rules], max_epochs=ROUNDS * every)
        trainer.fit(toy.module(seed + 7), toy.loader(toy.data(SIZES[name], seed)))

    return body


def side_by_side_and_in_turn(toy, folder, strategy, *rules, update_dtype="float32", **options):
    bodies = {name: body_of(toy, name, seed, *rules, **options) for seed, name in enumerate(SIZES)}
    exchanged = shared(state_of(toy.module()), options.get("private", ()))
    same = {
        "initial_state": exchanged,
        "rounds": ROUNDS,
        "update_dtype": update_dtype,
        "selection": Selection("val_loss", "min"),
        "trainable": [name for name in trainable_names(toy.module()) if name in exchanged],
    }
    with undisturbed():
        torch.manual_seed(5)
        together = run_sites(bodies, strategy, **same)
    with undisturbed():
        torch.manual_seed(5)
        in_turn = visit_sites(bodies, strategy, folder=folder, **same)
    return together, in_turn


@pytest.mark.parametrize(
    ("strategy", "rules", "options"),
    [
        (FedAvg(), (), {"keep_optimizer": True}),
        (FedAvg(), (), {"every": 2}),
        (FedAdam(), (), {"private": ["net.1.*"], "keep_optimizer": True}),
        (Scaffold(), (ScaffoldCorrection,), {}),
        (FedAvg(), (), {"update_dtype": "float16"}),
    ],
    ids=["adam kept", "two epochs a round", "private tensors", "scaffold", "half precision"],
)
def test_the_result_is_that_of_sites_side_by_side(toy, tmp_path, strategy, rules, options):
    together, in_turn = side_by_side_and_in_turn(toy, tmp_path, strategy, *rules, **options)
    assert toy.same(in_turn.state, together.state)
    assert toy.same(in_turn.best_state, together.best_state)
    assert in_turn.best_round == together.best_round
    assert in_turn.history == together.history
    assert not (tmp_path / "updates").exists()


def test_a_site_that_fails_stays_out_and_the_others_go_on(toy, tmp_path):
    bodies = {name: body_of(toy, name, seed) for seed, name in enumerate(SIZES)}
    visits = []

    def broken(exchange, memory) -> None:
        visits.append(exchange)
        msg = "disk gone"
        raise OSError(msg)

    bodies["south"] = broken
    result = visit_sites(
        bodies, FedAvg(), folder=tmp_path, initial_state=state_of(toy.module()), rounds=2
    )
    assert [list(record.absent) for record in result.history] == [["south"]] * 3
    assert "round 1 of 2: the site failed: OSError: disk gone" in result.history[2].absent["south"]
    assert len(visits) == 1


def test_a_site_that_leaves_without_an_answer_is_named(toy, tmp_path):
    bodies = {name: body_of(toy, name, seed) for seed, name in enumerate(SIZES)}
    bodies["west"] = lambda exchange, memory: exchange.pull()
    result = visit_sites(
        bodies, FedAvg(), folder=tmp_path, initial_state=state_of(toy.module()), rounds=1
    )
    assert (
        "site west, round 1 of 1: the site's run ended without an answer"
        in (result.history[0].absent["west"])
    )


def test_a_folder_of_another_run_is_refused(toy, tmp_path):
    bodies = {name: body_of(toy, name, seed) for seed, name in enumerate(SIZES)}
    options = {"folder": tmp_path, "initial_state": state_of(toy.module()), "rounds": 1}
    visit_sites(bodies, FedAvg(), **options)
    with pytest.raises(FederationError, match="sites/north holds the memory of another run"):
        visit_sites(bodies, FedAvg(), **options)


def test_nothing_of_a_visit_is_there_in_the_next(toy, tmp_path):
    """Trainers refer to themselves; the collector, left alone, keeps dozens of them."""
    visited, alive = [], []

    def body(exchange, memory) -> None:
        alive.append(sum(each() is not None for each in visited))
        callback = FederatedCallback(exchange, site="north", n_patients=12, memory=memory)
        trainer = toy.trainer(callback, max_epochs=2)
        visited.append(weakref.ref(trainer))
        trainer.fit(toy.module(), toy.loader(toy.data(12, 0)))

    gc.disable()  # what is collected here is what the visits have asked for
    try:
        visit_sites(
            {"north": body}, FedAvg(), folder=tmp_path, initial_state=state_of(toy.module()),
            rounds=2,
        )  # fmt: skip
    finally:
        gc.enable()
    assert alive == [0, 0, 0]
    assert gc.get_freeze_count() == 0
