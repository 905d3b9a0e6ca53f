from __future__ import annotations

import pytest
import torch
from torch import nn

from histofed.errors import FederationError
from histofed.federation.state import clone_state, load_state, state_of, trainable_names


def test_state_holds_parameters_and_buffers_and_shares_no_memory(toy):
    module = toy.module()
    state = state_of(module)
    assert {"net.0.weight", "net.1.running_mean", "net.1.num_batches_tracked"} <= state.keys()
    state["net.0.weight"].zero_()
    assert module.net[0].weight.abs().sum() > 0
    assert clone_state(state)["net.0.weight"].data_ptr() != state["net.0.weight"].data_ptr()


def test_loading_keeps_the_identity_of_parameters(toy):
    module, other = toy.module(0), toy.module(1)
    weight = module.net[0].weight
    load_state(module, state_of(other), where="here")
    assert module.net[0].weight is weight
    assert toy.same(state_of(module), state_of(other))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"net.0.bias": torch.zeros(1)}, r"shape \(4,\), found \(1,\)"),
        ({"net.0.bias": torch.zeros(4, dtype=torch.float64)}, "torch.float32, found torch.float64"),
        ({"head.weight": torch.zeros(1)}, "'head.weight' is unknown"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_nothing_is_loaded(toy, change, match):
    module = toy.module(0)
    before = state_of(module)
    with pytest.raises(FederationError, match=f"site a, round 2: the global model .*{match}"):
        load_state(module, {**state_of(toy.module(1)), **change}, where="site a, round 2")
    assert toy.same(state_of(module), before)


def test_a_state_that_is_no_tensor_is_refused():
    class Chatty(nn.Linear):
        def get_extra_state(self) -> dict:
            return {"words": 3}

    with pytest.raises(FederationError, match="'_extra_state' in the state dict is a dict"):
        state_of(Chatty(1, 1))


def test_trainable_names_leave_out_buffers_and_frozen_tensors_and_name_tied_ones_twice(toy):
    module = toy.module()
    module.net[3].bias.requires_grad_(False)
    module.tied = module.net[0]
    assert trainable_names(module) == [
        *("net.0.weight", "net.0.bias", "net.1.weight", "net.1.bias", "net.3.weight"),
        *("tied.weight", "tied.bias"),
    ]
