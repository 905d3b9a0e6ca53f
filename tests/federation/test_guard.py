from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader

from histofed.errors import ConfigError, FederationError
from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.guard import GuardedExchange, SitePolicy
from histofed.federation.messages import Round
from histofed.federation.state import state_of
from histofed.mil.aggregators.gated_abmil import GatedABMIL
from histofed.mil.bags import Bag, BagDataset, collate
from histofed.mil.module import MILModule
from histofed.mil.objectives.binary import Binary

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]

STATE = {"w": torch.tensor([3.0, 4.0]), "count": torch.tensor(2)}
CONTROLS = {"c": torch.zeros(2)}


def a_round(number: int, state=None, **options) -> Round:
    given = {"total": 5, "run": "trial", "controls": CONTROLS, **options}
    return Round(number=number, state=STATE if state is None else state, **given)


class Script:
    def __init__(self, *rounds: Round) -> None:
        self.rounds, self.pushed = list(rounds), []

    def pull(self) -> Round:
        return self.rounds.pop(0)

    def push(self, update) -> None:
        self.pushed.append(update)


def guarded(*rounds: Round, **policy) -> tuple[Script, GuardedExchange]:
    script = Script(*rounds)
    return script, GuardedExchange(script, site="north", policy=SitePolicy(**policy))


@pytest.mark.parametrize(
    ("second", "match"),
    [
        (a_round(2, run="pilot"), "of run 'pilot', this site takes part in 'trial'"),
        (a_round(1), "came after round 1; rounds only go up"),
        (a_round(2, {"w": STATE["w"]}), "the global model: other tensors .*'count' is missing"),
        (a_round(2, {**STATE, "w": torch.ones(1)}), r"'w' must have the shape \(2,\)"),
        (a_round(2, {**STATE, "w": STATE["w"].double()}), "'w' must be torch.float32"),
        (a_round(2, {**STATE, "more": torch.ones(1)}), "'more' is unknown"),
        (a_round(2, controls={}), "controls: other tensors than in round 1: .*'c' is missing"),
        (a_round(2, {**STATE, "w": torch.tensor([1.0, torch.nan])}), "'w' must be finite"),
        (a_round(2, controls={"c": torch.full((2,), torch.inf)}), "'c' must be finite"),
        (a_round(2, {**STATE, "w": STATE["w"] * 12}), "moved by 55, 11 times .* max_change is 10"),
        (a_round(2, {**STATE, "w": STATE["w"] * 1e30}), "moved by 5e[+]30"),
    ],
)
def test_what_is_not_agreed_does_not_come_in(second, match):
    _, guard = guarded(a_round(1), second)
    guard.pull()
    with pytest.raises(FederationError, match=rf"site north, round \d of 5: .*{match}"):
        guard.pull()


def test_a_bounded_change_comes_in_and_the_first_round_is_bound_by_nothing_but_numbers():
    moved = {**STATE, "w": STATE["w"] * 10}
    _, guard = guarded(a_round(3), a_round(5, moved))
    assert [guard.pull().number, guard.pull().number] == [3, 5]
    _, guard = guarded(a_round(1, {"w": torch.tensor(torch.nan)}))
    with pytest.raises(FederationError, match="what came in is damaged: tensor 'w' must be finite"):
        guard.pull()


def after_batches(guard: GuardedExchange, *batches: int, size: int | None = 4) -> None:
    trainer = SimpleNamespace(train_dataloader=SimpleNamespace(batch_size=size))
    for batch_idx in batches:
        guard.saw(trainer, batch_idx)


def answer(n: int, steps: int = 3, **changes):
    current = a_round(1)
    update = current.answer("north", STATE, n_patients=n, n_steps=steps, controls=CONTROLS)
    return dataclasses.replace(update, **changes)


@pytest.mark.parametrize(
    ("batches", "size", "n", "leaves"),
    [
        ([0, 1, 2], 4, 12, True),
        ([0, 1, 2], 4, 4, False),  # a loader may fill its last batch with fewer
        ([0], 4, 12, False),  # one batch of four was all it took
        ([0, 0, 0], 4, 12, False),  # the same four, three times
        ([0, 1], 4, 12, True),
        ([0, 1, 2], None, 12, False),  # a batch of unknown size may be one patient
        ([0, 1, 2, 3, 4], None, 12, True),
    ],
)
def test_few_patients_do_not_leave(batches, size, n, leaves):
    script, guard = guarded(a_round(1))
    guard.pull()
    after_batches(guard, *batches, size=size)
    if leaves:
        guard.push(answer(n))
        assert len(script.pushed) == 1
        return
    with pytest.raises(FederationError, match=r"nothing was sent: .*min_patients is 5"):
        guard.push(answer(n))
    assert script.pushed == []


def test_what_was_seen_before_the_pull_does_not_count():
    _, guard = guarded(a_round(1), a_round(2))
    guard.pull()
    after_batches(guard, 0, 1, 2)
    guard.pull()
    after_batches(guard, 3)
    with pytest.raises(FederationError, match="made from 4 patients"):
        guard.push(answer(12))


def test_few_steps_do_not_leave():
    script, guard = guarded(a_round(1), min_steps=4)
    guard.pull()
    after_batches(guard, 0, 1, 2)
    with pytest.raises(FederationError, match="in 3 optimizer steps, min_steps is 4"):
        guard.push(answer(12, steps=3))
    guard.push(answer(12, steps=4))
    assert len(script.pushed) == 1


def test_tensors_that_did_not_come_in_do_not_go_out():
    script, guard = guarded(a_round(1))
    guard.pull()
    after_batches(guard, 0, 1)
    for changes in (
        {"state": {**STATE, "private.head": torch.ones(2)}},
        {"controls": {**CONTROLS, "private.head": torch.ones(2)}},
    ):
        with pytest.raises(FederationError, match=r"'private\.head' is unknown.*came in go out"):
            guard.push(answer(12, **changes))
    assert script.pushed == []


def test_the_final_evaluation_holds_no_tensor_and_may_leave():
    script, guard = guarded(a_round(6))
    current = guard.pull()
    guard.push(current.answer("north", {}, n_patients=1, metrics={"auc": 0.5}))
    assert len(script.pushed) == 1


def test_a_policy_that_means_nothing_is_refused():
    for options in ({"min_patients": 0}, {"min_steps": 0}, {"max_change": 0.0}):
        with pytest.raises(ConfigError, match=f"{next(iter(options))} must be"):
            SitePolicy(**options)


def hospital(n_patients: int) -> tuple[MILModule, DataLoader]:
    """Gated attention without dropout, and patients of 20 tiles of 8 features."""
    generator = torch.Generator().manual_seed(3)
    bags = [
        Bag(
            patient_id=f"P{index}",
            site="north",
            label=(float(index % 2 == 0),),
            features_ND=torch.randn(20, 8, generator=generator).half(),
            coords_N2=None,
            tiles_of={"slide": slice(0, 20)},
        )
        for index in range(n_patients)
    ]
    with torch.random.fork_rng():
        torch.manual_seed(4)
        module = MILModule(
            GatedABMIL(8, 1, hidden_dim=16, attention_dim=8, dropout=0.0),
            Binary(),
            learning_rate=0.1,
            weight_decay=0.0,
        )
    module.configure_optimizers = lambda: torch.optim.SGD(module.parameters(), lr=0.1)
    return module, DataLoader(BagDataset(bags), batch_size=8, collate_fn=collate)


def sent_and_true(toy, n_patients: int, **policy) -> tuple[torch.Tensor, torch.Tensor]:
    """Train a round of one epoch; return what an attacker reconstructs, and the embeddings."""
    module, loader = hospital(n_patients)
    state = state_of(module)
    script = Script(*[Round(number=number, total=1, state=state) for number in (1, 2)])
    callback = FederatedCallback(
        script, site="north", n_patients=n_patients, policy=SitePolicy(**policy)
    )
    toy.trainer(callback, max_epochs=1, limit_val_batches=0).fit(module, loader, loader)
    module.load_state_dict(state)
    (batch,) = loader
    with torch.no_grad():
        embedding_BE = module(batch).embedding_BE
    return reconstructed(state, script.pushed[0].state), embedding_BE


def reconstructed(before: dict, after: dict) -> torch.Tensor:
    """Return the embedding that the head's change gives away.

    For logit = W z + b the gradients are dL/dW = g z and dL/db = g, so one step of gradient descent
    moves W by z times what it moves b by, whatever g and the learning rate are (Geiping et al.
    2020, NeurIPS, arXiv:2003.14053, proposition 3.1).
    """
    head = "aggregator.classify"
    moved_weight = before[f"{head}.weight"] - after[f"{head}.weight"]
    moved_bias = before[f"{head}.bias"] - after[f"{head}.bias"]
    return (moved_weight / moved_bias).squeeze(0)


def test_one_slide_and_one_step_give_the_slides_embedding_away_and_the_guard_sends_nothing(toy):
    stolen_E, embedding_BE = sent_and_true(toy, 1, min_patients=1)
    torch.testing.assert_close(stolen_E, embedding_BE[0], atol=1e-4, rtol=1e-3)
    with pytest.raises(FederationError, match="made from 1 patient, min_patients is 5: an update"):
        sent_and_true(toy, 1)


def test_what_the_guard_sends_is_no_patients_embedding(toy):
    stolen_E, embedding_BE = sent_and_true(toy, 8)
    error_B = (stolen_E - embedding_BE).norm(dim=1) / embedding_BE.norm(dim=1)
    assert error_B.min() > 0.1
