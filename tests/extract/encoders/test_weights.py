"""Files of weights that cannot be used: each is refused with its own reason, and none in part."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from histofed.errors import WeightsError
from histofed.extract.encoders.build import build
from histofed.extract.encoders.load import loaded
from histofed.extract.encoders.registry import cards

CARD = cards()["lunit_vits16"]
CARD = replace(CARD, arguments={**CARD.arguments, "depth": 1})


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn(each.shape) for name, each in build(CARD).trunk.state_dict().items()}


@pytest.fixture
def path(state, tmp_path) -> Path:
    save_file(state, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def refusal(weights: Path, card=CARD) -> str:
    with pytest.raises(WeightsError) as refused:
        loaded(card, str(weights), device="cpu")
    assert str(refused.value).startswith(f"encoder {card.name}: ")
    assert str(weights) in str(refused.value)
    return str(refused.value)


def test_file_and_folder_give_the_same_model(path, state) -> None:
    one = loaded(CARD, str(path), device="cpu")
    assert loaded(CARD, str(path.parent), device="cpu").digest == one.digest
    for name, tensor in one.module.trunk.state_dict().items():
        assert torch.equal(tensor, state[name])
        assert tensor.dtype == torch.float32


def test_weights_in_several_files_are_put_together(path, state) -> None:
    whole = loaded(CARD, str(path), device="cpu").digest
    path.unlink()
    half = len(state) // 2
    parts = {"a.safetensors": list(state)[:half], "b.safetensors": list(state)[half:]}
    for file, names in parts.items():
        save_file({name: state[name] for name in names}, path.parent / file)
    index = path.parent / "model.safetensors.index.json"
    where = {name: file for file, names in parts.items() for name in names}
    index.write_text(json.dumps({"weight_map": where}), "utf-8")
    assert loaded(CARD, str(path.parent), device="cpu").digest == whole
    (path.parent / "b.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"no weights at .*b\.safetensors"):
        loaded(CARD, str(path.parent), device="cpu")
    index.write_text("{}", "utf-8")
    assert "cannot be read as an index" in refusal(index)


def test_half_precision_files_are_computed_in_full_precision(path, state) -> None:
    save_file({name: each.bfloat16() for name, each in state.items()}, path)
    module = loaded(CARD, str(path), device="cpu").module
    assert {each.dtype for each in module.parameters()} == {torch.float32}


def test_a_missing_file_and_an_empty_folder(tmp_path) -> None:
    assert "correct encoder.weights" in refusal(tmp_path / "no.safetensors")
    said = refusal(tmp_path)
    assert "model.safetensors" in said
    assert "pytorch_model.bin" in said
    assert "name the file itself" in said


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_truncated_file(kept, kind, path, state) -> None:
    file = path.parent / f"cut.{kind}"
    if kind == "bin":
        torch.save(state, path)
    content = path.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    said = refusal(file)
    assert "cannot be read as weights" in said
    assert "fetch it again" in said


@pytest.mark.parametrize(
    "content", [b"<html>log in</html>", b"version https://git-lfs", b"\0" * 99]
)
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_file_of_another_kind(content, kind, tmp_path) -> None:
    (tmp_path / f"w.{kind}").write_bytes(content)
    assert "cannot be read as weights" in refusal(tmp_path / f"w.{kind}")


def test_a_file_that_would_run_code_is_not_run(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"a": Trap()}, tmp_path / "zipped.bin")
    (tmp_path / "bare.bin").write_bytes(pickle.dumps({"a": Trap()}))
    for file in ("zipped.bin", "bare.bin"):
        said = refusal(tmp_path / file)
        assert "cannot be read as weights" in said
        assert "could run code of whoever made it" in said
        assert "weights_only" not in said  # torch's advice is to run it all the same
    assert not (tmp_path / "sprung").exists()


def test_sparse_tensors_are_not_loaded(tmp_path) -> None:
    torch.save({"a": torch.ones(2, 2).to_sparse()}, tmp_path / "w.bin")
    assert "has a as torch.sparse_coo; only dense tensors are loaded" in refusal(tmp_path / "w.bin")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({1: torch.ones(2)}, "no table of named tensors, but 1;"),
        ({"epoch": 3, "model": {"a": torch.ones(2)}}, "but epoch, model; take the file as it was"),
        ([torch.ones(2)], "no table of named tensors; take"),
    ],
)
def test_what_a_file_holds_instead_of_weights_is_named(content, said, tmp_path) -> None:
    torch.save(content, tmp_path / "w.bin")
    assert said in refusal(tmp_path / "w.bin")


def test_the_content_says_what_kind_a_file_is_not_its_name(path, state) -> None:
    """A blob of the hub's cache has no suffix, and people rename files."""
    whole = loaded(CARD, str(path), device="cpu").digest
    blob = path.rename(path.parent / "0f3a.bin")
    assert loaded(CARD, str(blob), device="cpu").digest == whole


def test_the_weights_of_another_model(path) -> None:
    deeper = replace(CARD, arguments={**CARD.arguments, "depth": 2})
    assert "lacks blocks.1." in refusal(path, deeper)
    shallower = replace(CARD, arguments={**CARD.arguments, "depth": 0})
    assert "has blocks.0." in refusal(path, shallower)
    finer = replace(CARD, architecture="vit_small_patch8_224")
    assert "pos_embed of (1, 197, 384) where (1, 785, 384) belongs" in refusal(path, finer)


def test_a_wrong_dimension_names_both(path) -> None:
    wider = replace(CARD, name="wide", architecture="vit_base_patch16_224")
    said = refusal(path, wider)
    assert "cls_token of (1, 1, 384) where (1, 1, 768) belongs" in said
    assert "another model" in said


@pytest.mark.parametrize("change", ["lost", "added", "not a number", "complex", "zeros"])
def test_one_tensor_at_fault_is_named(change, path) -> None:
    state = load_file(path)
    if change == "lost":
        del state["norm.weight"]
    elif change == "added":
        state["norm.extra"] = torch.ones(1)
    elif change == "not a number":
        state["norm.weight"][7] = torch.nan
    elif change == "complex":
        state["norm.weight"] = state["norm.weight"].to(torch.complex64)
    else:
        state["blocks.0.mlp.fc1.weight"] *= 0
    save_file(state, path)
    wanted = {
        "lost": "lacks norm.weight; these are the weights of another model",
        "added": "has norm.extra, which the model does not know",
        "not a number": "norm.weight that are not numbers; it is damaged",
        "complex": "norm.weight of torch.complex64 where torch.float32 belongs",
        "zeros": "one value everywhere in blocks.0.mlp.fc1.weight",
    }
    assert wanted[change] in refusal(path)


def test_a_classifier_is_left_out(path, state) -> None:
    whole = loaded(CARD, str(path), device="cpu").digest
    extra = {"head.weight": torch.ones(9, 384), "head.bias": torch.ones(9)}
    save_file(state | extra, path)
    assert loaded(CARD, str(path), device="cpu").digest == whole
