"""What every objective must do, whatever its task."""

from __future__ import annotations

import math

import pytest
import torch

from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.errors import ConfigError
from histofed.mil.objectives import Objective, objective_of

NAN = math.nan
SURVIVAL = SurvivalTask(name="os", column="t", event_column="e", times=(10, 20, 40))

TASKS = {
    "binary": (BinaryTask(name="b", column="b"), [[1], [0], [1], [0]]),
    "multiclass": (
        MulticlassTask(name="m", column="m", classes=("x", "y", "z")),
        [[0], [2], [1], [2]],
    ),
    "multilabel": (
        MultilabelTask(name="p", questions=("g", "h")),
        [[1, 0], [NAN, 1], [0, NAN], [0, 1]],
    ),
    "regression": (
        RegressionTask(name="r", quantities=("g", "h")),
        [[1.5, -2], [0, NAN], [2, 7], [-1, 0]],
    ),
    "hazard": (SURVIVAL, [[5, 1], [20, 0], [39, 1], [41, 0]]),
    "cox": (SURVIVAL, [[5, 1], [20, 0], [39, 1], [41, 0]]),
}

each_objective = pytest.mark.parametrize("kind", TASKS)


def make(kind: str) -> tuple[Objective, torch.Tensor, torch.Tensor]:
    """Return an objective, logits and targets of four patients."""
    task, labels = TASKS[kind]
    objective = objective_of(task, survival=kind if kind in ("hazard", "cox") else "hazard")
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(labels), objective.n_logits, generator=generator)
    target = torch.tensor(labels, dtype=torch.float32)
    objective.prepare(objective.sums(target))
    return objective, logits, target


@each_objective
def test_a_loss_and_the_named_outputs_of_every_patient(kind):
    objective, logits, target = make(kind)
    assert objective.loss(logits, target).shape == (4,)
    assert objective.outputs(logits).shape == (4, len(TASKS[kind][0].output_names))
    assert target.shape[1] == len(TASKS[kind][0].label_names)


@each_objective
@pytest.mark.parametrize("n_patients", [0, 1])
def test_a_batch_of_one_and_of_nobody(kind, n_patients):
    objective, logits, target = make(kind)
    logits, target = logits[:n_patients].requires_grad_(), target[:n_patients]
    loss_B = objective.loss(logits, target)
    loss_B.sum().backward()
    assert loss_B.shape == (n_patients,)
    assert loss_B.isfinite().all()
    assert logits.grad.isfinite().all()
    assert len(objective.outputs(logits)) == n_patients


@each_objective
def test_the_order_of_patients_does_not_matter(kind):
    objective, logits, target = make(kind)
    order = torch.tensor([2, 0, 3, 1])
    found = objective.loss(logits[order], target[order])
    torch.testing.assert_close(found, objective.loss(logits, target)[order])


@each_objective
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_close_and_finite_where_logits_are_sure(kind, dtype):
    objective, logits, target = make(kind)
    exact = objective.loss(logits, target)
    torch.testing.assert_close(
        objective.loss(logits.to(dtype), target).float(), exact, atol=0.05, rtol=0.05
    )
    sure = (60 * logits).to(dtype).requires_grad_()
    loss_B = objective.loss(sure, target)
    loss_B.mean().backward()
    assert loss_B.isfinite().all()
    assert sure.grad.isfinite().all()


@each_objective
def test_the_gradient_is_that_of_small_differences(kind):
    objective, logits, target = make(kind)
    objective, target = objective.double(), target.double()
    assert torch.autograd.gradcheck(
        lambda given: objective.loss(given, target), logits.double().requires_grad_()
    )


@each_objective
def test_tile_heads_are_a_number_per_tile(kind):
    objective, _, _ = make(kind)
    heads = objective.tile_heads(torch.randn(2, 5, objective.n_logits))
    assert heads
    for name, values in heads.items():
        assert name.startswith("tile_")
        assert values.shape == (2, 5)


@each_objective
def test_a_prediction_does_not_know_of_the_other_patients(kind):
    objective, logits, _ = make(kind)
    together = objective.outputs(logits)
    for row in range(4):
        torch.testing.assert_close(
            objective.outputs(logits[row : row + 1])[0], together[row], equal_nan=True
        )


@each_objective
def test_what_is_learned_from_labels_is_in_the_weights(kind):
    objective, logits, target = make(kind)
    other, _, _ = make(kind)
    other.prepare(other.sums(target[:2]))
    other.load_state_dict(objective.state_dict())
    torch.testing.assert_close(other.loss(logits, target), objective.loss(logits, target))
    torch.testing.assert_close(other.outputs(logits), objective.outputs(logits), equal_nan=True)


@each_objective
def test_sums_of_hospitals_add_up_to_those_of_all_patients(kind):
    objective, _, target = make(kind)
    whole = objective.sums(target)
    parts = [objective.sums(target[:1]), objective.sums(target[1:])]
    assert all(value.dtype == torch.float64 for value in whole.values())
    for name, value in whole.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["multilabel", "regression", "hazard", "cox"])
def test_without_classes_there_is_nothing_to_balance(kind):
    objective, _, target = make(kind)
    assert objective.members(target) is None
    with pytest.raises(ConfigError, match=r"trainer\.balance=none"):
        objective.balance(objective.sums(target))


def test_only_the_partial_likelihood_needs_everybody_at_once():
    assert {kind for kind in TASKS if make(kind)[0].whole_fold} == {"cox"}
