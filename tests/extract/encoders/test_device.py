from __future__ import annotations

import numpy as np
import pytest
import torch

from histofed.errors import ConfigError
from histofed.extract.encoders.device import chosen_device, chosen_precision
from histofed.extract.encoders.google import efficientnet_lite0
from histofed.extract.encoders.registry import cards

CUDA = torch.device("cuda", 0)


def graphics_cards(monkeypatch, number: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)


def test_a_gpu_is_taken_where_there_is_one(monkeypatch) -> None:
    monkeypatch.setattr(torch.mps, "is_available", lambda: False)
    graphics_cards(monkeypatch, 0)
    assert chosen_device("auto") == torch.device("cpu")
    graphics_cards(monkeypatch, 2)
    assert chosen_device("auto") == torch.device("cuda")
    assert chosen_device("cpu") == torch.device("cpu")
    assert chosen_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "gpu", "", "tpu"])
def test_a_device_that_is_not_here_is_refused(wanted, monkeypatch) -> None:
    monkeypatch.setattr(torch.mps, "is_available", lambda: False)
    graphics_cards(monkeypatch, 0)
    with pytest.raises(ConfigError) as refused:
        chosen_device(wanted)
    assert f"device is {wanted!r}; this machine has cpu" in str(refused.value)


@pytest.mark.parametrize("built_for", [None, "13.0"])
def test_a_torch_that_knows_no_gpu_is_named_as_the_reason(built_for, monkeypatch) -> None:
    graphics_cards(monkeypatch, 0)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    with pytest.raises(ConfigError) as refused:
        chosen_device("cuda")
    assert ("install one built for CUDA" in str(refused.value)) == (built_for is None)


@pytest.mark.parametrize("wanted", ["cuda:2", "cuda:-1", "cuda:x"])
def test_a_number_that_is_not_here_is_refused(wanted, monkeypatch) -> None:
    graphics_cards(monkeypatch, 2)
    with pytest.raises(ConfigError, match="numbered 0 to 1"):
        chosen_device(wanted)


def test_precision_is_the_cards_on_a_gpu_and_full_elsewhere(monkeypatch) -> None:
    uni, uni2, phikon = (cards()[name] for name in ("uni", "uni2_h", "phikon"))
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert [chosen_precision("auto", each, CUDA) for each in (uni, uni2, phikon)] == [
        "fp16", "bf16", "fp32",
    ]  # fmt: skip
    assert {chosen_precision("auto", each, cpu) for each in (uni, uni2, phikon)} == {"fp32"}
    assert chosen_precision("fp32", uni, CUDA) == "fp32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(ConfigError, match=r"uni2_h computes in bf16.*set precision=fp32"):
        chosen_precision("auto", uni2, CUDA)


def test_a_precision_that_does_not_exist_or_does_not_go_is_refused() -> None:
    with pytest.raises(ConfigError, match="'fp8'; it is one of auto, fp32, fp16, bf16"):
        chosen_precision("fp8", cards()["uni"], CUDA)
    with pytest.raises(ConfigError, match=r"on cpu .* fp32 only: set precision=auto"):
        chosen_precision("bf16", cards()["uni"], torch.device("cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize(("precision", "relative"), [("fp32", 1e-3), ("fp16", 0.02), ("bf16", 0.1)])
def test_a_gpu_computes_what_the_cpu_computes(precision, relative) -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), dtype=np.uint8)
    on_cpu = efficientnet_lite0(device="cpu").encode(tiles).astype(np.float32)
    encoder = efficientnet_lite0(device="cuda", precision=precision)
    features = encoder.encode(tiles)
    assert features.dtype == np.float16
    assert encoder.device.type == "cuda"
    difference = np.abs(features.astype(np.float32) - on_cpu).max()
    assert difference <= relative * np.abs(on_cpu).max()
