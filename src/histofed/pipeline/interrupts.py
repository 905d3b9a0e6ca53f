"""Ctrl-C and SIGTERM end the work in the same way, and never between taking and giving back."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Within this context SIGTERM raises ``KeyboardInterrupt``, as Ctrl-C does.

    A batch system sends SIGTERM some time before it kills.
    """

    def __init__(self) -> None:
        self._asked = self._held = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # others may set no handlers
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if kind is not None and not issubclass(kind, KeyboardInterrupt):
            self.obey()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Put interrupts off to the end of the block."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.obey()

    @contextmanager
    def let_in(self) -> Iterator[None]:
        """Let interrupts in again, in a block inside of `held`."""
        self._held = False
        try:
            self.obey()
            yield
        finally:
            self._held = True

    def obey(self) -> None:
        """Raise ``KeyboardInterrupt`` if it was asked for, whatever became of it."""
        if self._asked:
            raise KeyboardInterrupt

    def _on_signal(self, *_: object) -> None:
        # Libraries lose the exception in a callback, or make an ImportError or OSError of it.
        self._asked = True
        if not self._held:
            raise KeyboardInterrupt
