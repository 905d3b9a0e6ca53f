from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.errors import FileDamaged, OutputUnwritable, StoreError
from histofed.federation.commits import commits_in, read_commit, read_last, write_commit

KIND = "trial"

plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text()
    | st.floats(allow_nan=False)
)
trees = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


def there_and_back(folder, content: dict[str, Any]) -> dict[str, Any]:
    write_commit(folder, 3, content, kind=KIND)
    return read_commit(folder, 3, kind=KIND)


@settings(max_examples=40)  # each is a file, synced to the disk
@given(content=st.dictionaries(st.text(), trees, max_size=3))
def test_numbers_words_and_their_nesting_come_back_as_they_were(tmp_path_factory, content):
    found = there_and_back(tmp_path_factory.mktemp("commit"), content)
    assert repr(found) == repr(content)  # repr tells (1,) from [1], 1 from 1.0 and -0.0 from 0.0


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.uint8]
)
def test_tensors_come_back_bit_for_bit(tmp_path, dtype):
    value = torch.tensor([[0.1, -0.0, 3.0], [math.inf, math.nan, 1.0]]).nan_to_num(0).to(dtype)
    content = {"state": {"b": value.T, "a": value, "scalar": value[0, 0], "none": value[:0]}}
    found = there_and_back(tmp_path, content)["state"]
    assert list(found) == ["b", "a", "scalar", "none"]
    for name, expected in content["state"].items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], expected)


def test_what_is_no_number_word_or_tensor_is_refused_by_name(tmp_path):
    with pytest.raises(StoreError, match=r"trial\.optimizer\[1\]\.rule is a function"):
        write_commit(tmp_path, 1, {"optimizer": [0, {"rule": there_and_back}]}, kind=KIND)
    with pytest.raises(StoreError, match=r"trial: the key \(1, 2\) is neither"):
        write_commit(tmp_path, 1, {(1, 2): 0}, kind=KIND)
    assert commits_in(tmp_path) == []


def test_the_last_two_commits_stay_and_nothing_else(tmp_path):
    for number in range(4):
        write_commit(tmp_path, number, {"number": number}, kind=KIND)
    assert commits_in(tmp_path) == [2, 3]
    (tmp_path / ".round-0004.killed.part").write_bytes(b"half")
    assert read_last(tmp_path, kind=KIND) == ({"number": 3}, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "round-0002.safetensors",
        "round-0003.safetensors",
    ]


def damage(path, how: str) -> None:
    whole = path.read_bytes()
    if how == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "a flipped bit of a tensor":
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    else:
        path.write_bytes(whole.replace(b"auc", b"auk"))


@pytest.mark.parametrize(
    "how", ["truncated", "empty", "a flipped bit of a tensor", "a word of the header"]
)
def test_a_damaged_commit_is_recognised_and_the_one_before_is_used(tmp_path, how):
    for number in (1, 2):
        content = {"number": number, "metric": "auc", "weight": torch.ones(5) * number}
        write_commit(tmp_path, number, content, kind=KIND)
    damage(tmp_path / "round-0002.safetensors", how)
    with pytest.raises(FileDamaged, match=r"round-0002\.safetensors"):
        read_commit(tmp_path, 2, kind=KIND)
    found, faults = read_last(tmp_path, kind=KIND)
    assert found["number"] == 1
    assert len(faults) == 1
    assert "round-0002.safetensors" in faults[0]
    damage(tmp_path / "round-0001.safetensors", how)
    with pytest.raises(StoreError, match=r"(?s)no commit is sound:.*round-0002.*round-0001"):
        read_last(tmp_path, kind=KIND)


def test_a_commit_of_something_else_is_refused(tmp_path):
    write_commit(tmp_path, 1, {}, kind=KIND)
    with pytest.raises(StoreError, match="expected a journal of version 1, found a trial"):
        read_last(tmp_path, kind="journal")
    with pytest.raises(StoreError, match="there is no commit"):
        read_last(tmp_path / "none", kind=KIND)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="file"):
        write_commit(tmp_path / "file" / "folder", 1, {}, kind=KIND)
