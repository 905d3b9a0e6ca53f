"""Tiles of many slides in full batches: nothing is mixed up, and no tile feels its neighbours."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.errors import ConfigError
from histofed.extract.encoders import EncoderCard, TileEncoder
from histofed.extract.encoders.engines import tiles_at_once
from histofed.extract.encoders.google import efficientnet_lite0
from histofed.extract.feed import EncoderFeed

AT_ONCE = tiles_at_once(torch.device("cpu"), 1)

CARD = EncoderCard(
    name="toy",
    dim=3,
    size_px=4,
    mpp=(0.5,),
    mean=(0, 0, 0),
    std=(1 / 255,) * 3,
    embedding="mean colour",
    licence="none",
    paper="none",
)


class MeanColour(torch.nn.Module):
    """Remembers how many tiles it was called with."""

    def __init__(self, factor: float = 1) -> None:
        super().__init__()
        self.factor = factor
        self.calls: list[int] = []

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(pixels))
        return pixels.mean(dim=(2, 3)) * self.factor


def toy(module: torch.nn.Module) -> TileEncoder:
    return TileEncoder(CARD, module, "w")


def flat_tiles(values) -> np.ndarray:
    """Return tiles of one grey each, whose feature is that grey."""
    return np.full((len(values), 4, 4, 3), np.reshape(values, (-1, 1, 1, 1)), dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    batch_size=st.integers(1, 7),
    read_size=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_every_slide_gets_its_own_features_in_order(sizes, batch_size, read_size, seed) -> None:
    chance = np.random.default_rng(seed)
    module = MeanColour()
    greys = [chance.integers(0, 256, size) for size in sizes]
    with EncoderFeed({"toy": toy(module)}, batch_size=batch_size) as feed:
        slides = [feed.expect(size, ["toy"]) for size in sizes]
        for slide, grey in zip(slides, greys, strict=True):
            order = chance.permutation(len(grey))  # readers give tiles in an order of their own
            for start in range(0, len(grey), read_size):
                numbers = order[start : start + read_size]
                feed.add(slide, numbers, flat_tiles(grey[numbers]))
    for slide, grey in zip(slides, greys, strict=True):
        np.testing.assert_array_equal(slide.features.result()["toy"], np.stack([grey] * 3, axis=1))
    whole, rest = divmod(sum(sizes), batch_size)
    n_parts = whole * -(-batch_size // AT_ONCE) + -(-rest // AT_ONCE)  # no more than tiles need
    assert module.calls == [AT_ONCE] * n_parts


@pytest.mark.parametrize(("fills_up", "shapes"), [(True, [8, 8]), (False, [8, 1])])
def test_the_last_batch_is_filled_up_where_the_network_gets_it_whole(
    fills_up, shapes, monkeypatch
) -> None:
    """On a GPU features would depend on the number of tiles; on a CPU black is a waste."""
    monkeypatch.setattr("histofed.extract.feed.has_shape_of_batch", lambda _: fills_up)
    seen: list[np.ndarray] = []

    class Seen(Later):
        def start(self, tiles: torch.Tensor, names: tuple[str, ...]) -> Later.Started:
            seen.append(tiles.numpy().copy())
            return super().start(tiles, names)

    monkeypatch.setattr("histofed.extract.feed.Transfers", Seen)
    with EncoderFeed({"toy": toy(MeanColour())}, batch_size=8) as feed:
        slide = feed.expect(9, ["toy"])
        feed.add(slide, np.arange(9), flat_tiles(range(1, 10)))
    assert [len(tiles) for tiles in seen] == shapes
    assert not seen[1][1:].any()
    assert slide.features.result()["toy"][:, 0].tolist() == list(range(1, 10))


def test_features_change_in_no_bit_with_place_and_neighbours() -> None:
    """The real encoder: else a job that was killed would end with other bytes."""
    chance = np.random.default_rng(1)
    tiles = chance.integers(0, 256, (13, 224, 224, 3), dtype=np.uint8)
    encoder, parts = efficientnet_lite0(), [range(5), range(5, 6), range(6, 13)]

    def features(order: list[int]) -> dict[int, np.ndarray]:
        with EncoderFeed({"lite0": encoder}, batch_size=8) as feed:
            slides = {number: feed.expect(len(parts[number]), ["lite0"]) for number in order}
            for number, slide in slides.items():
                feed.add(slide, np.arange(len(parts[number])), tiles[parts[number]])
        return {number: slide.features.result()["lite0"] for number, slide in slides.items()}

    alone = {number: features([number])[number] for number in range(3)}
    for order in ([0, 1, 2], [2, 0, 1], [1, 2]):
        for number, found in features(order).items():
            np.testing.assert_array_equal(found, alone[number])


def test_a_slide_is_ready_with_its_last_tile_not_with_its_neighbours() -> None:
    with EncoderFeed({"toy": toy(MeanColour())}, batch_size=4) as feed:
        first, second = feed.expect(3, ["toy"]), feed.expect(3, ["toy"])
        feed.add(first, np.arange(3), flat_tiles([1, 2, 3]))
        assert not first.features.done()
        feed.add(second, np.arange(1), flat_tiles([4]))
        assert first.features.result(timeout=5)["toy"][:, 0].tolist() == [1, 2, 3]
        feed.add(second, np.arange(1, 3), flat_tiles([5, 6]))
        feed.flush()
        assert second.features.result(timeout=5)["toy"][:, 0].tolist() == [4, 5, 6]


def test_each_encoder_gets_the_tiles_of_the_slides_that_lack_it() -> None:
    once, twice = MeanColour(), MeanColour(2)
    encoders = {"once": toy(once), "twice": toy(twice)}
    with EncoderFeed(encoders, batch_size=2) as feed:
        both, one = feed.expect(3, ["once", "twice"]), feed.expect(2, ["twice"])
        feed.add(both, np.arange(2), flat_tiles([1, 2]))
        feed.add(one, np.arange(2), flat_tiles([10, 20]))
        feed.add(both, np.arange(2, 3), flat_tiles([3]))
    assert {name: f[:, 0].tolist() for name, f in both.features.result().items()} == {
        "once": [1, 2, 3],
        "twice": [2, 4, 6],
    }
    assert one.features.result()["twice"][:, 0].tolist() == [20, 40]
    assert list(one.features.result()) == ["twice"]
    assert (len(once.calls), len(twice.calls)) == (2, 3)  # batches of two, each in one part


def test_a_slide_given_up_half_way_does_not_harm_its_neighbours() -> None:
    with EncoderFeed({"toy": toy(MeanColour())}, batch_size=4) as feed:
        given_up, good = feed.expect(9, ["toy"]), feed.expect(3, ["toy"])
        feed.add(given_up, np.arange(2), flat_tiles([7, 8]))
        feed.add(good, np.arange(3), flat_tiles([1, 2, 3]))
    assert good.features.result()["toy"][:, 0].tolist() == [1, 2, 3]
    assert not given_up.features.done()


class Fails(torch.nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.mark.parametrize(
    ("error", "seen", "words"),
    [
        (RuntimeError("of the encoder"), RuntimeError, "of the encoder"),
        (torch.OutOfMemoryError("CUDA"), ConfigError, "batch_size=2 does not fit .* lower batch_"),
    ],
)
def test_an_error_of_the_encoder_reaches_whoever_waits(error, seen, words) -> None:
    with EncoderFeed({"toy": toy(Fails(error))}, batch_size=2) as feed:
        slide, other = feed.expect(9, ["toy"]), feed.expect(9, ["toy"])
        feed.add(slide, np.arange(2), flat_tiles([1, 2]))
        with pytest.raises(seen, match=words):
            slide.features.result(timeout=5)
        with pytest.raises(seen, match=words):  # nothing more needs to be read
            feed.add(slide, np.arange(2), flat_tiles([1, 2]))
        feed.add(other, np.arange(2), flat_tiles([1, 2]))  # it is no reason to block


def test_what_waits_is_dropped_when_the_work_is_stopped() -> None:
    class Slow(MeanColour):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            began.set()
            go_on.wait(5)
            return super().forward(pixels)

    began, go_on, module = threading.Event(), threading.Event(), Slow()
    with (  # noqa: PT012  # the interrupt comes in the middle
        pytest.raises(KeyboardInterrupt),
        EncoderFeed({"toy": toy(module)}, batch_size=1) as feed,
    ):
        slide = feed.expect(9, ["toy"])
        feed.add(slide, np.arange(9), flat_tiles(range(9)))
        began.wait(5)
        threading.Timer(0.1, go_on.set).start()
        raise KeyboardInterrupt
    assert len(module.calls) == 1
    assert "encoder" not in {thread.name for thread in threading.enumerate()}


class Later:
    """A device that computes two batches at a time; the test says when one is there."""

    depth = 2

    def __init__(self, encoders: dict[str, TileEncoder]) -> None:
        (self.name, self.encoder), *_ = encoders.items()
        self.log: list[str] = []
        self.go_on = threading.Semaphore(0)

    def room(self, n_tiles: int, size_px: int) -> torch.Tensor:
        return torch.empty((n_tiles, size_px, size_px, 3), dtype=torch.uint8)

    def start(self, tiles: torch.Tensor, names: tuple[str, ...]) -> Later.Started:
        number = sum(line.startswith("start") for line in self.log)
        self.log.append(f"start {number}")
        return self.Started(self, number, {self.name: self.encoder.encode(tiles.numpy())})

    class Started:
        def __init__(self, device: Later, number: int, found: dict[str, np.ndarray]) -> None:
            self.device, self.number, self.found = device, number, found

        def is_there(self) -> bool:
            return self.device.go_on.acquire(blocking=False)

        def result(self) -> dict[str, np.ndarray]:
            self.device.log.append(f"result {self.number}")
            return self.found


def test_a_batch_is_started_before_the_result_of_the_last_is_taken(monkeypatch) -> None:
    monkeypatch.setattr("histofed.extract.feed.Transfers", Later)
    with EncoderFeed({"toy": toy(MeanColour())}, batch_size=1) as feed:
        device = feed._transfers
        slides = [feed.expect(1, ["toy"]) for _ in range(4)]
        for number in range(3):
            feed.add(slides[number], np.arange(1), flat_tiles([number]))
        slides[1].features.result(timeout=5)
        assert device.log[:5] == ["start 0", "start 1", "result 0", "start 2", "result 1"]
        assert not slides[2].features.done()  # nothing forces it
        device.go_on.release()
        assert slides[2].features.result(timeout=5)["toy"][0, 0] == 2  # without a fourth batch
        feed.add(slides[3], np.arange(1), flat_tiles([3]))
    assert device.log[5:] == ["result 2", "start 3", "result 3"]
    assert slides[3].features.result()["toy"][0, 0] == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_batches_arrive_whole_while_others_are_computed() -> None:
    chance = np.random.default_rng(2)
    tiles = chance.integers(0, 256, (40, 224, 224, 3), dtype=np.uint8)
    encoder = efficientnet_lite0(device="cuda", precision="fp32")
    expected = np.concatenate([encoder.encode(tiles[i : i + 4]) for i in range(0, 40, 4)])
    with EncoderFeed({"lite0": encoder}, batch_size=4) as feed:
        slide = feed.expect(40, ["lite0"])
        feed.add(slide, np.arange(40), tiles)
    np.testing.assert_array_equal(slide.features.result()["lite0"], expected)
