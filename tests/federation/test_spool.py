from __future__ import annotations

import pytest
import torch

from histofed.federation.messages import Round
from histofed.federation.spool import SpooledTensors, spooled
from histofed.federation.strategies.fedavg import FedAvg

STATE = {
    "z": torch.randn(3, 2),
    "half": torch.ones(2, dtype=torch.float16),
    "count": torch.tensor(7),
    "a": torch.randn(4, 6).T,
}


def test_tensors_come_back_in_order_and_to_the_bit(tmp_path):
    found = SpooledTensors(tmp_path / "x.safetensors", STATE)
    assert list(found) == list(STATE)
    assert len(found) == 4
    for name, value in found.items():
        assert value.dtype == STATE[name].dtype
        assert torch.equal(value, STATE[name])
    with pytest.raises(KeyError):
        found["b"]


def test_tensors_that_share_memory_are_written_apart(tmp_path):
    one = torch.randn(3)
    found = SpooledTensors(tmp_path / "x.safetensors", {"one": one, "view": one[1:]})
    assert torch.equal(found["view"], one[1:])


def test_nothing_is_held_in_memory(tmp_path):
    found = SpooledTensors(tmp_path / "x.safetensors", STATE)
    assert found["z"] is not found["z"]
    found.path.unlink()
    with pytest.raises(FileNotFoundError):
        found["z"]


def test_a_strategy_cannot_tell_a_spooled_update(tmp_path):
    state = {"w": torch.randn(5), "n": torch.tensor(3)}
    current = Round(number=1, total=1, state=state)
    updates = [
        current.answer(site, {"w": torch.randn(5), "n": torch.tensor(k)}, n_patients=k + 1)
        for k, site in enumerate("abc")
    ]
    away = [spooled(update, tmp_path / update.site) for update in updates]
    found, expected = (FedAvg().aggregate(state, each, {}).state for each in (away, updates))
    assert all(torch.equal(found[name], expected[name]) for name in state)
