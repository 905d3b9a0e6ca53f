"""Engines: the same features, another way of computing them, and never another one than named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from histofed.errors import ConfigError
from histofed.extract.encoders import EncoderCard, TileEncoder, engines
from histofed.extract.encoders.build import build
from histofed.extract.encoders.engines import (
    AGREEMENT,
    ENGINES,
    TILES_AT_ONCE,
    chosen_engine,
    folded,
    tiles_at_once,
)
from histofed.extract.encoders.google import efficientnet_lite0
from histofed.extract.encoders.registry import cards

CARD = EncoderCard(
    name="toy", dim=6, size_px=16, mpp=(), mean=(0.5,) * 3, std=(0.25,) * 3, embedding="mean",
    licence=None, paper=None,
)  # fmt: skip
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


class Net(nn.Module):
    """Two convolutions with norms, registered in an order that is not that of the calls."""

    def __init__(self, *, shared: bool = False) -> None:
        super().__init__()
        self.norm2 = nn.BatchNorm2d(6)
        self.conv1, self.norm1 = nn.Conv2d(3, 6, 3, stride=2, bias=False), nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, groups=3)
        nn.init.ones_(self.conv2.bias)
        self.shared = shared
        generator = torch.Generator().manual_seed(0)
        for each in (self.conv1, self.conv2):
            each.weight.data.normal_(std=0.3, generator=generator)
        for each in (self.norm1, self.norm2):
            for values in (each.weight.data, each.bias.data, each.running_mean):
                values.normal_(generator=generator)
            each.running_var.uniform_(0.5, 2, generator=generator)

    def forward(self, pixels_B3HW: torch.Tensor) -> torch.Tensor:
        self.n_seen = len(pixels_B3HW)
        inside = self.conv1(pixels_B3HW)
        kept = inside if self.shared else 0
        inside = self.norm1(inside).relu() + kept
        return self.norm2(self.conv2(inside)).mean(dim=(2, 3))


def tiles(n: int, size_px: int = 16) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, size_px, size_px, 3), dtype=np.uint8)


def check_same(found: np.ndarray, expected: np.ndarray) -> None:
    largest = np.abs(expected.astype(np.float32)).max()
    assert np.ptp(expected.astype(np.float32), axis=0).max() > 0.01 * largest  # they say something
    np.testing.assert_allclose(
        found.astype(np.float32), expected.astype(np.float32), atol=1e-3 * largest, rtol=0
    )


def test_auto_folds_on_a_cpu_what_can_be_folded() -> None:
    assert chosen_engine("auto", Net(), CPU) == "folded"
    assert chosen_engine("auto", Net(), CUDA) == "eager"
    assert chosen_engine("auto", nn.Linear(2, 2), CPU) == "eager"
    for name in ENGINES[1:]:
        assert chosen_engine(name, Net(), CUDA) == name
    with pytest.raises(ConfigError, match="'onnx'; it is one of auto, eager, folded, compile"):
        chosen_engine("onnx", Net(), CPU)


def test_the_embedded_encoder_is_folded_and_its_features_stay() -> None:
    eager, fast = efficientnet_lite0(engine="eager", device="cpu"), efficientnet_lite0(device="cpu")
    assert (eager.engine, fast.engine) == ("eager", "folded")
    noise = tiles(5, 224) // 2
    check_same(fast.encode(noise), eager.encode(noise))
    assert fast.digest == eager.digest
    assert set(fast.module.state_dict()) == set(eager.module.state_dict())  # as published
    assert not any(isinstance(each, nn.BatchNorm2d) for each in fast._forward.modules())


@pytest.mark.parametrize("name", ["resnet50", "ctranspath"])
def test_other_convolutional_encoders_fold(name) -> None:
    """Random weights, and statistics of the norms that are not the identity."""
    generator = torch.Generator().manual_seed(0)
    card = cards()[name]
    if name == "ctranspath":
        card = replace(card, arguments={**card.arguments, "depths": (1, 1, 1, 1)})
    module = build(card, device="cpu").eval()
    n_norms = 0
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            n_norms += 1
            each.running_mean.normal_(std=0.1, generator=generator)
            each.running_var.uniform_(0.5, 2, generator=generator)
    eager = TileEncoder(card, module, "w", engine="eager")
    fast = TileEncoder(card, module, "w", engine="folded")
    assert n_norms > 0
    assert not any(isinstance(each, nn.BatchNorm2d) for each in fast._forward.modules())
    pictures = tiles(2, card.size_px)
    check_same(fast.encode(pictures), eager.encode(pictures))


def test_what_follows_what_is_seen_in_a_run() -> None:
    module, noise = Net().eval(), torch.randn(3, 3, 16, 16)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fast = folded(module, noise)
    with torch.inference_mode():
        torch.testing.assert_close(fast(noise), module(noise), atol=1e-5, rtol=1e-5)
    assert not any(isinstance(each, nn.BatchNorm2d) for each in fast.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())


def test_an_encoder_without_batch_norms_is_not_called_folded() -> None:
    card = cards()["kaiko_vits16"]
    card = replace(card, arguments={**card.arguments, "depth": 1})
    module = build(card, device="cpu")
    assert chosen_engine("auto", module, CPU) == "eager"
    with pytest.raises(ConfigError, match=r"kaiko_vits16 has no batch norm.*set engine=eager"):
        TileEncoder(card, module, "w", engine="folded")


def test_features_that_differ_are_refused() -> None:
    """What a convolution puts out goes two ways here, so that its norm is no part of it."""
    with pytest.raises(ConfigError, match=r"toy: engine folded gives features that differ"):
        TileEncoder(CARD, Net(shared=True), "w", engine="folded")


@pytest.mark.parametrize(("factor", "refused"), [(0.9, False), (1.1, True), (np.nan, True)])
def test_the_limit_of_the_difference(monkeypatch, factor, refused) -> None:
    class Off(Net):
        def forward(self, pixels_B3HW: torch.Tensor) -> torch.Tensor:
            return super().forward(pixels_B3HW) * (1 + factor * AGREEMENT["fp32"])

    monkeypatch.setattr(engines, "folded", lambda *_: Off().eval())
    if refused:
        with pytest.raises(ConfigError, match="set engine=eager"):
            TileEncoder(CARD, Net(), "w", engine="folded")
    else:
        TileEncoder(CARD, Net(), "w", engine="folded")


def test_a_cpu_takes_few_tiles_at_once_and_returns_all_in_order(monkeypatch) -> None:
    module = Net()
    encoder = TileEncoder(CARD, module, "w")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    pictures = tiles(2 * TILES_AT_ONCE + 3)
    features = encoder.encode(pictures)
    assert module.n_seen == TILES_AT_ONCE  # the last part too, filled up
    alone = np.concatenate([encoder.encode(each[None]) for each in pictures])
    assert np.array_equal(features, alone)  # to the last bit: neighbours change nothing
    assert tiles_at_once(CUDA, 500) == 500
    assert tiles_at_once(CPU, 500) == TILES_AT_ONCE


def test_what_torch_cannot_compile_is_refused() -> None:
    """A graph in pieces, of which some ran eagerly, would be no compiled encoder."""

    class Broken(Net):
        def forward(self, pixels_B3HW: torch.Tensor) -> torch.Tensor:
            torch._dynamo.graph_break()
            return super().forward(pixels_B3HW)

    with pytest.raises(ConfigError, match=r"toy cannot be compiled here \(.*set engine=eager"):
        TileEncoder(CARD, Broken(), "w", engine="compile")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # within torch
def test_compiled_features_stay_and_one_compilation_does_for_all_batches() -> None:
    encoder = TileEncoder(CARD, Net(), "w", engine="compile")
    eager = TileEncoder(CARD, Net(), "w")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for n in (9, 4, 3, 2, 1):
            pictures = tiles(n)
            found, expected = encoder.encode(pictures), eager.encode(pictures)
            np.testing.assert_allclose(found, expected, atol=2e-3, rtol=2e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # within torch
def test_no_compiler_is_said_and_nothing_runs_eagerly_instead(monkeypatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    torch._dynamo.reset()
    with (
        torch._inductor.utils.fresh_cache(),
        pytest.raises(ConfigError, match=r"toy cannot be compiled here .*needs a C\+\+ compiler"),
    ):
        TileEncoder(replace(CARD, dim=7), Net(), "w", engine="compile")
