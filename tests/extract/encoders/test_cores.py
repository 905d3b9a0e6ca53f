"""Tiles side by side on several cores: the same features, and nothing left changed."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from histofed.extract.encoders import EncoderCard, TileEncoder
from histofed.extract.encoders.cores import on_every_core

CARD = EncoderCard(
    name="toy", dim=8, size_px=16, mpp=(), mean=(0.5,) * 3, std=(0.25,) * 3, embedding="mean",
    licence=None, paper=None,
)  # fmt: skip


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        for each in self.conv.parameters():
            each.data.normal_(generator=torch.Generator().manual_seed(0))

    def forward(self, pixels_B3HW: torch.Tensor) -> torch.Tensor:
        return self.conv(pixels_B3HW).mean(dim=(2, 3))


def test_features_do_not_depend_on_the_number_of_cores(threads) -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (11, 16, 16, 3), dtype=np.uint8)
    encoder = TileEncoder(CARD, Net(), "w")
    features = encoder.encode(tiles)
    torch.set_num_threads(1)
    assert np.array_equal(features, encoder.encode(tiles))


def test_order_stays_and_the_number_of_threads_is_given_back(threads) -> None:
    seen = set()

    def work(part: torch.Tensor) -> torch.Tensor:
        seen.add((threading.get_ident(), torch.get_num_threads()))
        assert torch.is_inference_mode_enabled()
        return part + 1

    with torch.inference_mode():
        found = on_every_core(work, torch.arange(12).split(2))
    assert torch.cat(found).tolist() == list(range(1, 13))
    assert {n for _, n in seen} == {1}
    assert torch.get_num_threads() == threads
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [threads]


def test_an_error_comes_through_and_leaves_the_threads(threads) -> None:
    def work(part: torch.Tensor) -> torch.Tensor:
        if 4 in part:
            raise torch.OutOfMemoryError("no room")
        return part

    with torch.inference_mode(), pytest.raises(torch.OutOfMemoryError, match="no room"):
        on_every_core(work, torch.arange(12).split(2))
    assert torch.get_num_threads() == threads
