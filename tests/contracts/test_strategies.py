"""Every strategy that ``configs/strategy`` names keeps the promises of a strategy."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load, save

from histofed.errors import ConfigError
from histofed.federation.messages import SiteUpdate
from histofed.federation.run_plan import RunPlan
from histofed.federation.state import clone_state, state_of, trainable_names
from histofed.mil.aggregators.gated_abmil import GatedABMIL
from histofed.mil.bags import Bag, collate
from histofed.mil.module import MILModule
from histofed.mil.objectives.binary import Binary

FOLDER = Path(__file__).parents[2] / "configs" / "strategy"
GLOBAL = {
    "weight": torch.zeros(3, 2),
    "half": torch.zeros(4, dtype=torch.float16),
    "running_var": torch.ones(4),
    "count": torch.tensor(0),
    "flag": torch.tensor([False, True]),
}
TRAINABLE = ("weight", "half")
SIZES = {"west": 7, "north": 40, "south": 13, "east": 21, "centre": 5}

BY_SERVERS_RATE = {"fedadam", "fedyogi", "fedadagrad"}
"""The server steps by a learning rate of its own: a site's model is a direction, not the result."""

MOVES_ON = {*BY_SERVERS_RATE, "fedavgm"}
"""A memory of earlier rounds moves the model even where the sites agree with it."""

ROBUST = {"median", "trimmed_mean", "krum"}
"""One wild site of five does not get past the others."""


def update_of(site: str, seed: int, n_patients: int) -> SiteUpdate:
    generator = torch.Generator().manual_seed(seed)
    state = {
        "weight": torch.randn(3, 2, generator=generator),
        "half": torch.randn(4, generator=generator).half(),
        "running_var": torch.rand(4, generator=generator) * 2 + 1e-3,
        "count": torch.tensor(10 + seed),
        "flag": torch.rand(2, generator=generator) > 0.5,
    }
    controls = {
        "weight": torch.randn(3, 2, generator=generator),
        "half": torch.randn(4, generator=generator),
    }
    return SiteUpdate(site=site, round=1, state=state, n_patients=n_patients, controls=controls)


UPDATES = [update_of(site, seed, n) for seed, (site, n) in enumerate(SIZES.items())]


def built(path: Path):
    arguments = yaml.safe_load(path.read_text(encoding="utf-8"))
    module, _, name = arguments.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), name)(**arguments)


@pytest.fixture(params=sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def name(request) -> str:
    return request.param.stem


@pytest.fixture
def strategy(name):
    return built(FOLDER / f"{name}.yaml")


def started(strategy, sites=tuple(SIZES), state=GLOBAL) -> dict[str, torch.Tensor]:
    return strategy.start(state, trainable=TRAINABLE, sites=sites)


def turn(strategy, updates, number: int = 1):
    """Return the updates of the sites that train in a round."""
    names = strategy.trainers(number, [update.site for update in updates])
    return [update for update in updates if not names or update.site in names]


def aggregated(strategy, updates, *, state=GLOBAL, memory=None):
    sites = [update.site for update in updates]
    memory = started(strategy, sites, state) if memory is None else memory
    return strategy.aggregate(state, turn(strategy, updates), memory).state


def same(one, other) -> bool:
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


def test_result_has_the_names_order_shapes_and_dtypes_of_the_global_model(strategy):
    new = aggregated(strategy, UPDATES)
    assert list(new) == list(GLOBAL)
    for name, old in GLOBAL.items():
        assert (new[name].dtype, new[name].shape) == (old.dtype, old.shape)


def test_one_site_is_plain_training(strategy, name):
    """Bit for bit; under a server's learning rate, the step goes the site's way."""
    if strategy.fewest > 1:  # it refuses fewer (below)
        return
    new, trained = aggregated(strategy, UPDATES[:1]), UPDATES[0].state
    moved = TRAINABLE if name in BY_SERVERS_RATE else ()
    for key, value in trained.items():
        if key in moved:
            assert torch.equal(new[key].sign(), value.sign())
        else:
            assert torch.equal(new[key], value), key


def test_too_few_sites_and_too_small_a_quorum_are_refused_by_name(strategy):
    fewest = strategy.fewest
    RunPlan(sites="abcdefg", rounds=1, quorum=fewest).quorum_of(strategy)
    if fewest == 1:
        return
    name = type(strategy).__name__
    with pytest.raises(ConfigError, match=rf"{name}.* needs {fewest} updates.* the quorum is"):
        RunPlan(sites="abcdefg", rounds=1, quorum=fewest - 1).quorum_of(strategy)
    with pytest.raises(ConfigError, match=rf"{name}.* needs {fewest} updates.* there .* site"):
        RunPlan(sites="abcdefg"[: fewest - 1], rounds=1).quorum_of(strategy)


@pytest.mark.parametrize("order", [(0, 2, 1, 4, 3), (4, 3, 2, 1, 0), (1, 2, 3, 4, 0)])
def test_order_of_the_updates_changes_no_bit(strategy, order):
    memory = started(strategy)
    trained = turn(strategy, UPDATES)
    other = turn(strategy, [UPDATES[index] for index in order])
    one, two = (strategy.aggregate(GLOBAL, updates, memory) for updates in (trained, other))
    assert same(one.state, two.state)
    assert same(one.memory, two.memory)


def test_updates_that_are_equal_stay_what_they_are(strategy, name):
    state = UPDATES[0].state
    equal = [dataclasses.replace(update, state=state) for update in UPDATES]
    new = aggregated(strategy, equal)
    for key, value in state.items():
        if not (name in BY_SERVERS_RATE and key in TRAINABLE):
            torch.testing.assert_close(new[key], value)


def test_where_no_site_moves_nothing_moves(strategy):
    start = UPDATES[0].state
    still = [
        dataclasses.replace(
            update,
            state=start,
            controls={key: torch.zeros_like(value) for key, value in update.controls.items()},
        )
        for update in UPDATES
    ]
    memory = started(strategy, state=start)
    for number in (1, 2, 3):
        outcome = strategy.aggregate(start, turn(strategy, still, number), memory)
        memory = outcome.memory
        for key, value in start.items():
            torch.testing.assert_close(outcome.state[key], value)


def test_integers_are_the_sites_own_never_a_mean(strategy):
    new = aggregated(strategy, UPDATES)
    assert new["count"].item() in {update.state["count"].item() for update in UPDATES}
    for index in (0, 1):
        assert new["flag"][index] in [update.state["flag"][index] for update in UPDATES]


def test_buffers_are_never_stepped_only_combined(strategy):
    """A step by an optimizer's moments could make a running variance negative."""
    memory, state = started(strategy), GLOBAL
    values = torch.stack([update.state["running_var"] for update in UPDATES])
    for number in range(1, 6):
        state, memory = strategy.aggregate(state, turn(strategy, UPDATES, number), memory)
        assert (state["running_var"] >= values.amin(0)).all()
        assert (state["running_var"] <= values.amax(0)).all()


def test_inputs_are_left_alone_and_share_no_memory(strategy):
    memory = started(strategy)
    before = [(clone_state(update.state), clone_state(update.controls)) for update in UPDATES]
    remembered = clone_state(memory)
    outcome = strategy.aggregate(GLOBAL, turn(strategy, UPDATES), memory)
    for value in (*outcome.state.values(), *outcome.memory.values()):
        value.fill_(1)
    for update, (state, controls) in zip(UPDATES, before, strict=True):
        assert same(update.state, state)
        assert same(update.controls, controls)
    assert same(memory, remembered)
    assert not GLOBAL["weight"].any()


def test_a_memory_from_disk_goes_on_bit_for_bit(strategy):
    """Rounds with the memory and model written and read back each time, beside rounds without."""
    sites = list(SIZES)
    kept = dropped = (clone_state(GLOBAL), started(strategy, sites))
    for number in (1, 2, 3, 4):
        updates = turn(strategy, [update_of(s, 10 * number + i, 9) for i, s in enumerate(sites)])
        kept = strategy.aggregate(kept[0], updates, kept[1])
        state, memory = (load(save(part)) for part in dropped)
        dropped = strategy.aggregate(state, updates, memory)
        assert all(torch.equal(kept[0][key], dropped[0][key]) for key in GLOBAL)
        assert kept[1].keys() == dropped[1].keys()
        assert all(torch.equal(kept[1][key], dropped[1][key]) for key in kept[1])
        assert {*strategy.controls(kept[1])} in ({*()}, {*TRAINABLE})


@pytest.mark.parametrize("wild", list(SIZES))
@pytest.mark.parametrize("size", [1e8, -1e8, 3.0])
def test_one_wild_site_of_five(strategy, name, wild, size):
    """Robust rules stay within the range of the honest sites; a mean is carried away."""
    loud = {
        key: torch.full_like(value, 50_000 if key == "half" else size)
        if value.is_floating_point()
        else torch.full_like(value, 10**6 if key == "count" else True)
        for key, value in GLOBAL.items()
    }
    updates = [
        dataclasses.replace(update, state=loud, n_patients=100_000)
        if update.site == wild
        else update
        for update in UPDATES
    ]
    honest = [update.state for update in updates if update.site != wild]
    new = aggregated(strategy, updates)
    within = all(
        (new[key] >= torch.stack([state[key] for state in honest]).amin(0)).all()
        and (new[key] <= torch.stack([state[key] for state in honest]).amax(0)).all()
        for key in ("weight", "half", "running_var", "count")
    )
    taken = strategy.trainers(1, list(SIZES))
    expected = name in ROBUST or (bool(taken) and wild not in taken)
    assert within == expected


@pytest.mark.parametrize("name", ["fedavg", "fedavgm", "scaffold"])
def test_one_full_step_at_each_site_is_one_pooled_step(strategy):
    """Of an attention model over bags of tiles, with SGD; patients weigh the hospitals.

    Promised by the rules whose first round is the mean of the models.
    """
    attention = GatedABMIL(dim=6, n_classes=1, dropout=0.0)
    module = MILModule(attention, Binary(), learning_rate=0, weight_decay=0)
    start = state_of(module)
    patients = [
        Bag(f"p{i}", "", (float(i % 2),), torch.randn(3 + i % 4, 6).half(), None, {})
        for i in range(30)
    ]
    hospitals = {"a": patients[:4], "b": patients[4:21], "c": patients[21:]}

    def stepped(bags: list[Bag]) -> dict[str, torch.Tensor]:
        module.load_state_dict(start)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
        optimizer.zero_grad()
        module.loss(collate(bags)).backward()
        optimizer.step()
        return state_of(module)

    trainable = trainable_names(module)
    still = {name: torch.zeros_like(start[name]) for name in trainable}
    updates = [
        SiteUpdate(site=site, round=1, state=stepped(bags), n_patients=len(bags), controls=still)
        for site, bags in hospitals.items()
    ]
    memory = strategy.start(start, trainable=trainable, sites=list(hospitals))
    federated = strategy.aggregate(start, updates, memory).state
    pooled = stepped(patients)
    assert max((pooled[name] - start[name]).abs().max() for name in trainable) > 1e-3
    for name, value in pooled.items():
        torch.testing.assert_close(federated[name], value, atol=1e-6, rtol=0)
