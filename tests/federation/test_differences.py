from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histofed.federation.differences import as_carried
from histofed.federation.messages import Round
from histofed.federation.wire import decode_update, encode_update


@given(
    arrays("float32", 7, elements=st.floats(-8, 8, width=32)),
    arrays("float32", 7, elements=st.floats(-70000, 70000, width=32)),
)
def test_a_simulation_rounds_to_the_bits_of_the_network(old, change):
    base = {"w": torch.from_numpy(old), "h": torch.ones(2).half(), "n": torch.tensor(3)}
    trained = {"w": torch.from_numpy(old + change), "h": torch.ones(2).half(), "n": base["n"] + 1}
    update = Round(number=1, total=2, state=base).answer("north", trained, n_patients=7)
    arrived = decode_update(encode_update(update, base=base), base=base)
    simulated = as_carried(update, base, "float16")
    assert simulated.state.keys() == arrived.state.keys()
    for name, value in simulated.state.items():
        assert value.dtype == trained[name].dtype
        assert value.equal(arrived.state[name])
    assert as_carried(update, base, "float32") is update
