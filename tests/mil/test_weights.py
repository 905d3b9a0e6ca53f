from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors import safe_open

from histofed.errors import WeightsError
from histofed.mil.aggregators.gated_abmil import GatedABMIL
from histofed.mil.aggregators.simlp import SiMLP
from histofed.mil.weights import load_weights, save_weights


@pytest.fixture
def saved(tmp_path):
    aggregator = GatedABMIL(4, 1, hidden_dim=5, attention_dim=3)
    aggregator.standardise_with(torch.arange(4.0), torch.arange(1.0, 5.0))
    path = tmp_path / "deep" / "model.safetensors"
    path.parent.mkdir()
    save_weights(path, aggregator, about={"task": "egfr", "encoder": "toy"})
    return path, aggregator


def test_round_trip(saved):
    path, aggregator = saved
    other = GatedABMIL(4, 1, hidden_dim=5, attention_dim=3)
    digest = load_weights(path, other)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    for name, tensor in aggregator.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["about"])
        assert about["task"] == "egfr"
        assert about["encoder"] == "toy"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_same_weights_have_one_digest(saved, tmp_path):
    _, aggregator = saved
    about = {"task": "egfr", "encoder": "toy", "aggregator": "gated", "site": "north"}
    digests = set()
    for number in range(12):
        path = tmp_path / f"{number}.safetensors"
        save_weights(path, aggregator, about=about)
        digests.add(load_weights(path, aggregator))
    assert len(digests) == 1


def test_other_weights_have_another_digest(saved, tmp_path):
    path, aggregator = saved
    again = tmp_path / "again.safetensors"
    with torch.no_grad():
        aggregator.classify.bias += 1
    save_weights(again, aggregator, about={"task": "egfr", "encoder": "toy"})
    assert load_weights(again, aggregator) != load_weights(path, aggregator)


@pytest.mark.parametrize(
    "other",
    [
        GatedABMIL(4, 1, hidden_dim=6, attention_dim=3),
        GatedABMIL(9, 1, hidden_dim=5, attention_dim=3),
        GatedABMIL(4, 2, hidden_dim=5, attention_dim=3),
        SiMLP(4, 1, hidden_dim=5),
    ],
)
def test_weights_of_another_model_are_refused_and_change_nothing(saved, other):
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(WeightsError, match=f"do not fit {type(other).__name__}"):
        load_weights(saved[0], other)
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "gone", "folder"])
def test_a_damaged_file_is_refused(saved, damage):
    path, aggregator = saved
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "gone":
        wrong = {"cut": content[:-9], "text": b"no weights", "empty": b""}[damage]
        path.write_bytes(wrong)
    with pytest.raises(WeightsError, match=r"model\.safetensors.*train again"):
        load_weights(path, aggregator)
