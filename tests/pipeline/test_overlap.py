"""One process with many slides at once: each ends when its features are there."""

from __future__ import annotations

import os
from concurrent.futures import Future
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from histofed.core.types import Slide
from histofed.errors import SlideUnreadable
from histofed.io.queue import RECORDS, WorkQueue
from histofed.io.store import FeatureStore
from histofed.pipeline import sharing
from histofed.pipeline.config import compose, to_object
from histofed.pipeline.shared_results import SharedResults
from histofed.pipeline.sharing import each_slide
from histofed.pipeline.slides import Outcome

if TYPE_CHECKING:
    from pathlib import Path


@cache
def config() -> Any:
    return to_object(compose("tile", []))


class Encoder:
    """Work whose results come when the test, or a flush, says so; writes down what happens."""

    def __init__(self, folder: Path) -> None:
        self.store = FeatureStore(folder)
        self.queue = WorkQueue(folder / RECORDS)
        self.log: list[str] = []
        self.held: dict[str, int] = {}
        self.waiting: dict[str, Future[None]] = {}

    def steps(self, slide: Slide, names):
        name = slide.slide_id
        for part in (1, 2):
            self.log.append(f"read {name} {part}")
            self.on_read(name, part)
            yield part / 2
        self.waiting[name] = Future()
        yield self.waiting[name]
        self.log.append(f"write {name}")
        self.store.folder.mkdir(parents=True, exist_ok=True)
        return dict.fromkeys(names, Outcome(slide_id=name, status="done"))

    def on_read(self, name: str, part: int) -> None:
        items = {path.name.split(".")[0] for path in self.queue.folder.glob("*.json")}
        held = sum(self.queue.is_held(self.queue.attempts(item)) for item in items)
        self.held[name] = max(held, self.held.get(name, 0))

    def finish(self, name: str) -> None:
        self.waiting.pop(name).set_result(None)

    def flush(self) -> None:
        self.log.append("flush")
        for name in list(self.waiting):
            self.finish(name)

    def results(self) -> SharedResults:
        return SharedResults(
            self.store,
            recipe_digest="r",
            source_digest=lambda _: "",
            config=config(),
        )

    def run(self, names: str) -> dict[str, str]:
        """Return what became of each slide."""
        slides = [Slide(slide_id=name, patient_id=name, site="", path=None) for name in names]
        found = each_slide(
            "Test", slides, self.steps, results={"it": self.results()}, flush=self.flush
        )
        return {row.slide_id: row.status for row in found["it"]}


@pytest.fixture
def encoder(tmp_path) -> Encoder:
    return Encoder(tmp_path / "features")


def test_the_next_slide_is_read_while_one_is_encoded(encoder) -> None:
    assert encoder.run("abc") == dict.fromkeys("abc", "done")
    reads = [f"read {name} {part}" for name in "abc" for part in (1, 2)]
    assert encoder.log == [*reads, "flush", "write a", "write b", "write c"]


def test_a_slide_is_written_when_it_is_encoded_while_the_next_is_read(encoder, monkeypatch) -> None:
    monkeypatch.setattr(
        encoder, "on_read", lambda name, part: (name, part) == ("b", 1) and encoder.finish("a")
    )
    encoder.run("ab")
    first, second = "read b 1", "read b 2"
    assert encoder.log[2:5] == [first, "write a", second]


def test_a_bad_slide_fails_alone(encoder, monkeypatch) -> None:
    def on_read(name: str, part: int) -> None:
        if (name, part) == ("b", 2):
            raise SlideUnreadable("damaged")

    monkeypatch.setattr(encoder, "on_read", on_read)
    assert encoder.run("abc") == {"a": "done", "b": "failed", "c": "done"}


def test_what_was_begun_is_given_back_when_stopped(encoder, monkeypatch) -> None:
    def on_read(name: str, part: int) -> None:
        if (name, part) == ("c", 2):
            encoder.finish("a")
            raise KeyboardInterrupt

    monkeypatch.setattr(encoder, "on_read", on_read)
    with pytest.raises(KeyboardInterrupt):
        encoder.run("abcd")
    queue = encoder.queue
    assert all(queue.attempts(name)[-1].released for name in "abc")
    assert not queue.attempts("d")


def test_an_error_of_the_encoder_is_no_slides_fault(encoder, monkeypatch) -> None:
    def on_read(name: str, part: int) -> None:
        if (name, part) == ("b", 2):
            encoder.waiting["a"].set_exception(RuntimeError("of the encoder"))

    monkeypatch.setattr(encoder, "on_read", on_read)
    steps = encoder.steps

    def passes_on(slide: Slide, names):
        waits = steps(slide, names)
        yield from (next(waits), next(waits))
        yield (future := next(waits))
        future.result()

    monkeypatch.setattr(encoder, "steps", passes_on)
    with pytest.raises(RuntimeError, match="of the encoder"):
        encoder.run("abc")
    assert all(encoder.queue.attempts(name)[-1].released for name in "ab")


def test_no_more_slides_are_held_than_is_allowed(encoder, monkeypatch) -> None:
    monkeypatch.setattr(sharing, "MOST_OPEN", 2)
    assert set(encoder.run("abcde").values()) == {"done"}
    assert max(encoder.held.values()) == 2


def test_suspects_of_a_death_are_taken_one_by_one(encoder) -> None:
    queue = encoder.queue
    for name in "bc":
        queue.claim(name, "key", history=[])
        path = queue.path(name, 1)
        path.write_text(path.read_text().replace(str(os.getpid()), "1"))  # not ours
        os.utime(path, (1, 1))
    assert set(encoder.run("abcd").values()) == {"done"}
    written = [line for line in encoder.log if "write" in line]
    assert written == ["write a", "write d", "write b", "write c"]
    assert (encoder.held["a"], encoder.held["d"]) == (1, 2)
    assert (encoder.held["b"], encoder.held["c"]) == (1, 1)
