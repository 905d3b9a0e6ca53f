from __future__ import annotations

from histofed.core.memory import Memory


def test_the_least_recently_used_goes_and_the_rest_stays_within_its_bytes() -> None:
    memory: Memory[str, bytes] = Memory(10, size=len)
    made: list[str] = []

    def ask(name: str, size: int = 4) -> bytes:
        return memory.get(name, lambda: made.append(name) or bytes(size))

    for name in ("a", "b", "a", "c", "a", "b"):  # with c there is no room for b
        ask(name)
    assert made == ["a", "b", "c", "b"]
    assert memory.n_bytes == 8
    ask("too large", 11)
    ask("too large", 11)
    assert made[-2:] == ["too large", "too large"]
    assert memory.n_bytes == 8
