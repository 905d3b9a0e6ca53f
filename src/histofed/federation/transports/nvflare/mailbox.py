"""One training thread for a whole part: rounds go in by a queue, updates come out by another.

NVFlare calls a site once a round and wants an answer from each call. Training is one long
``trainer.fit`` that pulls and pushes. Here the two meet.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from histofed.errors import FederationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.federation.exchange import Exchange
    from histofed.federation.messages import Round, SiteUpdate

CHECK_S = 0.2
"""How often who waits looks whether there is still something to wait for."""


class Mailbox:
    """A body in a thread of its own, and the exchange that it talks to.

    Parameters
    ----------
    body
        The training of one part; given the exchange.
    """

    def __init__(self, name: str, body: Callable[[Exchange], None]) -> None:
        self.name = name
        self._rounds: SimpleQueue[Round | None] = SimpleQueue()
        self._updates: SimpleQueue[SiteUpdate] = SimpleQueue()
        self._ended = False
        self._error: BaseException | None = None
        # A daemon: a training step that cannot be interrupted does not keep the process alive.
        self._thread = Thread(target=self._main, args=(body,), name=f"train-{name}", daemon=True)
        self._thread.start()

    # Called by the body, in its own thread.

    def pull(self) -> Round:
        """Wait for the next round."""
        current = None if self._ended else self._rounds.get()
        if current is None:
            msg = f"{self.name}: the run was ended"
            raise FederationError(msg)
        return current

    def push(self, update: SiteUpdate) -> None:
        """Hand over the answer."""
        if self._ended:
            msg = f"{self.name}: the run was ended"
            raise FederationError(msg)
        self._updates.put(update)

    # Called by whoever carries messages.

    def answer(self, current: Round, *, stop: Callable[[], bool]) -> SiteUpdate:
        """Give the body a round and wait for its answer.

        Parameters
        ----------
        stop
            Whether to wait no longer.

        Raises
        ------
        FederationError
            The body failed (the cause is attached), ended without an answer, or was stopped.
        """
        self._rounds.put(current)
        while True:
            try:
                update = self._updates.get(timeout=CHECK_S)
            except Empty:
                self._check(current, stopped=stop())
                continue
            # What a round that was given up has left behind answers nothing any more.
            if update.round == current.number:
                return update

    def join(self, timeout_s: float) -> bool:
        """Wait for the body to return; say whether it has, without an error."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and self._error is None

    def end(self) -> None:
        """End the body by an error out of its next pull or push."""
        self._ended = True
        self._rounds.put(None)

    def _main(self, body: Callable[[Exchange], None]) -> None:
        try:
            body(self)
        except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
            self._error = error

    def _check(self, current: Round, *, stopped: bool) -> None:
        where = f"{self.name}, round {current.number} of {current.total}"
        if self._error is not None:
            # The message may name patients; it stays in the hospital, as the cause.
            msg = f"{where}: training failed ({type(self._error).__name__})"
            raise FederationError(msg) from self._error
        if stopped:
            self.end()
            msg = f"{where}: the run was ended"
            raise FederationError(msg)
        if not self._thread.is_alive() and self._updates.empty():
            msg = f"{where}: training ended without an answer to this round"
            raise FederationError(msg)
