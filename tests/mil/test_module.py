from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from histofed.mil.aggregators.clam import CLAM
from histofed.mil.aggregators.simlp import SiMLP
from histofed.mil.auxiliary import auxiliary_loss
from histofed.mil.bags import collate
from histofed.mil.module import MILModule, predict, select_loss
from histofed.mil.objectives.binary import Binary
from histofed.mil.objectives.cox import Cox


@pytest.fixture
def module() -> MILModule:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        aggregator = SiMLP(4, 1, hidden_dim=5, dropout=0.5)
    return MILModule(aggregator, Binary(), learning_rate=0.01, weight_decay=0.1)


def logits(module: MILModule, batch) -> list[float]:
    with torch.no_grad():
        return module.aggregator(batch.features_BND, batch.valid_BN).logits_BC[:, 0].tolist()


def cross_entropy(logit: float, label: int) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -math.log(probability if label else 1 - probability)


def test_the_loss_is_the_mean_over_patients(module, bag):
    bags = [bag("A", 2, label=1), bag("B", 5, seed=1), bag("C", 3, label=1, seed=2)]
    batch = collate(bags)
    module.eval()
    by_hand = [
        cross_entropy(logit, one.label[0])
        for logit, one in zip(logits(module, batch), bags, strict=True)
    ]
    assert module.loss(batch).item() == pytest.approx(sum(by_hand) / 3, rel=1e-6)


def test_training_adds_what_the_aggregator_asks_for_and_selection_does_not(bag):
    clam = CLAM(4, 1, instance_weight=0.5)
    module = MILModule(clam, Binary(), learning_rate=0.01, weight_decay=0.1)
    batch = collate([bag("A", 5, label=1), bag("B", 4, seed=1)])
    module.eval()
    loss, total = module.losses(batch)
    assert total == loss == module.loss(batch)
    for part in module.modules():
        part.training = not isinstance(part, torch.nn.Dropout)
    loss, total = module.losses(batch)
    asked = module(batch).auxiliary
    members = torch.tensor([[0.0, 1.0], [1.0, 0.0]])  # A is positive, B is negative
    extra = auxiliary_loss(asked, bag_loss=lambda logits: logits.sum(), member_BG=members)
    assert total.item() == pytest.approx(loss.item() + extra.item(), rel=1e-6)
    assert extra > 0.1


def test_only_training_is_watched(bag):
    aggregator = SiMLP(4, 1, hidden_dim=5, dropout=0.0)
    module = MILModule(aggregator, Cox(n_times=0), learning_rate=0.01, weight_decay=0.1)
    batch = collate([replace(bag(name, 5), label=(2.0, 1.0)) for name in "AB"])
    module.eval()
    module.losses(batch)
    assert module.objective.centre_C.item() == 0
    module.train()
    module.losses(batch)
    assert module.objective.centre_C.item() == pytest.approx(module(batch).logits_BC.mean().item())


def test_the_selection_loss_counts_patients_not_batches(module, bag):
    bags = [bag(str(number), 3, label=number % 2, seed=number) for number in range(5)]
    batches = [collate(bags[:4]), collate(bags[4:])]
    module.eval()
    found = select_loss(module, batches)
    whole = select_loss(module, [collate(bags)])
    assert found == pytest.approx(whole, rel=1e-6)
    assert select_loss(module, []) == {}


def test_predictions_are_by_name_and_without_dropout(module, bag):
    bags = [bag(name, 4, seed=seed) for seed, name in enumerate("ABC")]
    module.train()
    found = predict(module, [collate(bags[:2]), collate(bags[2:])])
    assert list(found) == ["A", "B", "C"]
    assert found == predict(module, [collate(bags[:2]), collate(bags[2:])])
    module.eval()
    expected = [1 / (1 + math.exp(-logit)) for logit in logits(module, collate(bags))]
    assert [value for (value,) in found.values()] == pytest.approx(expected, rel=1e-5)


def test_the_optimizer_is_as_asked(module):
    optimizer = module.configure_optimizers()
    assert type(optimizer) is torch.optim.AdamW
    [group] = optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.01, 0.1)
    assert len(group["params"]) == len(list(module.parameters()))
