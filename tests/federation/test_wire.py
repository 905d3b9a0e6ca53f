from __future__ import annotations

import json
import pickle
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histofed.errors import FederationError
from histofed.federation.gate import check_update
from histofed.federation.messages import Round
from histofed.federation.state import state_of
from histofed.federation.wire import (
    decode_round,
    decode_update,
    encode_round,
    encode_update,
    pack,
    unpack,
)

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]


def make_round(state, **more) -> Round:
    return Round(**{"number": 2, "total": 5, "state": state, "run": "köln/0", **more})


@st.composite
def states(draw) -> dict[str, torch.Tensor]:
    names = draw(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=5))
    shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
    found = {}
    for name in names:
        values = draw(arrays("float32", draw(shapes)))  # NaN and infinity travel too: the gate sees
        found[name] = torch.tensor(values).to(draw(st.sampled_from(DTYPES)))
    return found


def same(one, other) -> bool:
    """Equal bit for bit, NaN included, with names in the same order."""
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and (not one[name].numel() or raw(one[name]).equal(raw(other[name])))
        for name in one
    )


def raw(value: torch.Tensor) -> torch.Tensor:
    return value.flatten().view(torch.uint8)


@settings(max_examples=30)
@given(states(), states(), st.text(max_size=5), st.integers(1, 10**9))
def test_a_round_arrives_as_it_was_sent(state, controls, run, number):
    sent = make_round(state, controls=controls, run=run, number=number, trainers=("a", "b/ü"))
    found = decode_round(encode_round(sent))
    assert (found.run, found.number, found.total, found.base) == (run, number, 5, sent.base)
    assert found.trainers == sent.trainers
    assert same(found.state, state)
    assert same(found.controls, controls)


@settings(max_examples=30)
@given(states(), states(), st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False)))
def test_an_update_arrives_as_it_was_sent(state, controls, metrics):
    metrics = {name: value for name, value in metrics.items() if abs(value) != float("inf")}
    sent = make_round({}).answer(
        "north", state, n_patients=7, n_steps=3, controls=controls, metrics=metrics
    )
    found = decode_update(encode_update(sent), base={})
    names = ("site", "run", "round", "base", "n_patients", "n_steps", "metrics")
    assert [getattr(found, name) for name in names] == [getattr(sent, name) for name in names]
    assert same(found.state, state)
    assert same(found.controls, controls)


def test_tensors_that_share_memory_or_are_strided_arrive_whole(toy):
    weight = torch.arange(6.0).reshape(2, 3)
    state = {"a": weight, "tied": weight, "turned": weight.T}
    assert toy.same(decode_round(encode_round(make_round(state))).state, state)


def test_the_header_is_all_that_is_added(toy):
    state = state_of(torch.nn.Linear(512, 512))
    n_bytes = sum(value.nbytes for value in state.values())
    current = make_round(state)
    update = current.answer("north", state, n_patients=7, n_steps=1)
    assert n_bytes < len(encode_round(current)) < n_bytes + 1024
    assert n_bytes < len(encode_update(update)) < n_bytes + 1024
    assert len(encode_update(update, base=state)) < n_bytes / 2 + 1024


@given(
    arrays("float32", 9, elements=st.floats(-8, 8, width=32)),
    arrays("float32", 9, elements=st.floats(-2, 2, width=32)),
)
def test_differences_in_half_precision_are_exact_to_their_own_size(old, change):
    base = {"w": torch.from_numpy(old), "n": torch.tensor(3)}
    trained = {"w": torch.from_numpy(old + change), "n": torch.tensor(4)}
    current = make_round(base)
    sent = current.answer("north", trained, n_patients=7, n_steps=1)
    found = decode_update(encode_update(sent, base=base), base=base)
    check_update(found, current, site="north")
    assert found.state["n"].item() == 4
    error = (found.state["w"] - trained["w"]).abs()
    step = (trained["w"] - base["w"]).abs()
    assert (error <= step * 2**-11 + 2**-24 + trained["w"].abs() * 2**-24).all()


def test_differences_that_do_not_fit_the_model_reach_the_gate_as_they_came():
    base = {"w": torch.zeros(3)}
    sent = make_round(base).answer(
        "north", {"w": torch.zeros(3), "x": torch.ones(2)}, n_patients=7, n_steps=1
    )
    data = encode_update(sent, base={"w": torch.zeros(3), "x": torch.zeros(2)})
    with pytest.raises(FederationError, match="'x' is unknown"):
        check_update(decode_update(data, base=base), make_round(base), site="north")


def test_a_change_too_large_for_half_precision_is_refused_by_the_gate():
    base = {"w": torch.zeros(1)}
    sent = make_round(base).answer("north", {"w": torch.tensor([1e6])}, n_patients=7, n_steps=1)
    found = decode_update(encode_update(sent, base=base), base=base)
    with pytest.raises(FederationError, match="must be finite, found inf"):
        check_update(found, make_round(base), site="north")


def test_other_kinds_versions_and_damage_are_refused():
    whole = encode_round(make_round({"w": torch.ones(4)}))
    update = encode_update(make_round({}).answer("north", {}, n_patients=1))
    with pytest.raises(FederationError, match="found 'update', version 1"):
        decode_round(update)
    with pytest.raises(FederationError, match="version 2; run the same version"):
        decode_round(whole.replace(b'\\"version\\": 1', b'\\"version\\": 2'))
    with pytest.raises(FederationError, match="more than the 50 that are accepted"):
        decode_round(whole, max_bytes=50)
    with pytest.raises(FederationError, match="it was changed on the way"):
        decode_round(whole[:-1] + b"\x41")
    for damaged in (b"", b"{}", whole[:-1], whole[:40], pickle.dumps({"w": 1}), whole + b"1"):
        with pytest.raises(FederationError, match="cannot be read"):
            decode_round(damaged)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"n_patients": True}, "n_patients must be a whole number, found True"),
        ({"n_patients": 7.5}, "n_patients must be a whole number, found 7.5"),
        ({"round": "2"}, "round must be a whole number"),
        ({"site": None}, "site must be words, found None"),
        ({"metrics": {"loss": "low"}}, "metrics must be an object of numbers"),
        ({"metrics": [1]}, "metrics must be an object"),
        ({"metrics": {"loss": 10**400}}, "metrics must be an object of numbers"),
        ({"n_patients": 10**400}, "n_patients must be a whole number below"),
        ({"encoding": "zip"}, "encoding must be whole or float16-difference, found 'zip'"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(change, match):
    data = encode_update(make_round({}).answer("north", {}, n_patients=1))
    fields, groups = unpack(data, "update")
    with pytest.raises(FederationError, match=match):
        decode_update(pack("update", {**fields, **change}, groups), base={})


def test_a_number_that_json_has_not_is_refused_where_it_is_sent():
    update = make_round({}).answer("north", {}, n_patients=1, metrics={"loss": float("nan")})
    with pytest.raises(FederationError, match="fields must be finite"):
        encode_update(update)


@pytest.mark.parametrize("header", [[], {}, {"kind": "round", "version": 1}, {"names": 3}])
def test_a_header_of_another_make_is_refused(header):
    text = json.dumps({"__metadata__": {"histofed": json.dumps(header)}}).encode()
    with pytest.raises(FederationError, match="message 'round'"):
        decode_round(struct.pack("<Q", len(text)) + text)


@pytest.mark.parametrize("names", ["5", "null", '\\"w\\"', '{\\"w\\": 1}'])
def test_a_header_whose_names_are_no_lists_is_refused(names):
    data = pack("round", {}, {"state": {"w": torch.ones(1)}})
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].replace(b'[\\"w\\"]', names.encode())
    with pytest.raises(FederationError, match="must list the names"):
        unpack(struct.pack("<Q", len(header)) + header + data[8 + length :], "round")


def test_a_header_that_names_other_tensors_is_refused():
    data = pack("round", {}, {"state": {"w": torch.ones(1)}})
    with pytest.raises(FederationError, match="names 1 tensors, it holds 1"):
        unpack(data.replace(b'[\\"w\\"]', b'[\\"v\\"]'), "round")
