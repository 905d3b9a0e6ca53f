"""Answers kept in memory, the least recently used forgotten first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """At most ``max_bytes`` of values; one that is larger than that is not kept.

    Parameters
    ----------
    size
        Bytes of a value.
    """

    def __init__(self, max_bytes: int, *, size: Callable[[V], int]) -> None:
        self._max_bytes = max_bytes
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()
        self.n_bytes = 0

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of a key, made if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        # Outside the lock: it takes milliseconds, and others want other values.
        value = make()
        self._keep(key, value)
        return value

    def _keep(self, key: K, value: V) -> None:
        size = self._size(value)
        if size > self._max_bytes:
            return
        with self._lock:
            if key in self._values:
                return
            self._values[key] = value
            self.n_bytes += size
            while self.n_bytes > self._max_bytes:
                self.n_bytes -= self._size(self._values.popitem(last=False)[1])
