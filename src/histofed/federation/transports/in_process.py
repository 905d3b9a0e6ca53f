"""All sites in one process: for simulation and for tests, deterministic by construction.

Every site runs its own code in its own thread, but only one thread runs at a time: sites take
turns, in the order of their names, and a turn lasts from one round to the next. Each has its own
Python, numpy and torch generators, put in place for its turn, so the result depends neither on the
other sites nor on the timing of threads. The server's part runs in the caller's thread between the
turns.
"""

from __future__ import annotations

from threading import Semaphore, Thread
from typing import TYPE_CHECKING

from histofed.errors import FederationError
from histofed.federation.messages import Round, SiteUpdate
from histofed.federation.random_state import RandomState, undisturbed
from histofed.federation.server import FederatedResult, Selection, Server
from histofed.federation.state import clone_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from histofed.federation.exchange import Exchange
    from histofed.federation.history import RoundRecord
    from histofed.federation.strategies.base import Strategy


def run_sites(
    sites: Mapping[str, Callable[[Exchange], None]],
    strategy: Strategy,
    *,
    initial_state: Mapping[str, Tensor],
    rounds: int,
    selection: Selection | None = None,
    quorum: int | None = None,
    on_round: Callable[[RoundRecord], None] | None = None,
) -> FederatedResult:
    """Run a federation to its end.

    Parameters
    ----------
    sites
        Name -> the site's whole run, usually a ``trainer.fit`` with a `FederatedCallback` around
        the exchange that it is given. Every site starts from the caller's random state; one that
        wants its own seeds itself. What else is shared by a process (``warnings.catch_warnings``,
        environment) must not be changed for the length of a site's run: the sites overlap. Change
        it around this call.
    strategy, initial_state, rounds, selection, quorum
        As in `histofed.federation.server.Server`. The initial model is evaluated in round 1 and the
        last aggregated one in the final round ``rounds + 1``, so every global model has its metrics
        from every site.
    on_round
        Called in the caller's thread after each round, the final one included.

    Raises
    ------
    ConfigError
        No round, no site, or a quorum that cannot be met.
    FederationError
        A site raised (the cause is attached), stopped answering, or too few updates were accepted.
        The run ends, and the other sites are ended with it. A refused update does not end the run.
    """
    server = Server(
        strategy, initial_state, sites=sites, rounds=rounds, selection=selection, quorum=quorum
    )
    members = [_Site(name, sites[name]) for name in server.sites]
    try:
        while not server.over:
            record = server.close({site.name: site.take_turn(server.round) for site in members})
            if on_round is not None:
                on_round(record)
    finally:
        with undisturbed():
            for site in members:
                site.end()
    return server.result()


class _Site:
    """One site's thread, and the exchange that its code talks to.

    ``_go`` and ``_back`` pass the baton: the caller's thread waits for ``_back`` while the site
    runs, the site waits for ``_go`` while the others do.
    """

    def __init__(self, name: str, body: Callable[[Exchange], None]) -> None:
        self.name = name
        self._body = body
        self._random = RandomState.capture()
        # A daemon, so that Ctrl-C in the middle of a turn does not wait for the turn to end.
        self._thread = Thread(target=self._main, name=f"site-{name}", daemon=True)
        self._go, self._back = Semaphore(0), Semaphore(0)
        self._waiting = self._finished = self._ended = False
        self._error: BaseException | None = None
        self._offered: Round | None = None
        self._pulled: Round | None = None
        self._update: SiteUpdate | None = None

    # Called by the site, in its own thread.

    def pull(self) -> Round:
        """Take the round on offer; give the baton away until there is one."""
        self._stop_if_ended()
        if self._offered is None:
            self._check_may_wait()
            self._waiting = True
            self._back.release()
            self._go.acquire()
            self._waiting = False
            self._stop_if_ended()
        offered = self._offered
        assert offered is not None, "the baton comes with a round"
        self._offered, self._update = None, None
        self._pulled = Round(
            number=offered.number, total=offered.total, state=clone_state(offered.state)
        )
        return self._pulled

    def push(self, update: SiteUpdate) -> None:
        """Keep the update for the end of the turn."""
        self._stop_if_ended()
        if self._pulled is None or self._update is not None:
            msg = f"site {self.name}: pushed without a round to answer; pull first, push once"
            raise FederationError(msg)
        self._update = update

    # Called by run_sites, in the caller's thread.

    def take_turn(self, offered: Round) -> SiteUpdate:
        """Let the site run until it wants the next round or is done; return its answer."""
        where = f"site {self.name}, round {offered.number} of {offered.total}"
        self._offered = offered
        if not self._finished:
            with undisturbed():
                self._random.restore()
                self._run()
                self._random = RandomState.capture()
        if self._error is not None:
            msg = f"{where}: the site failed: {type(self._error).__name__}: {self._error}"
            raise FederationError(msg) from self._error
        update = self._update
        if update is None or self._offered is not None:
            msg = (
                f"{where}: the site's run ended without an answer; a site pulls and pushes every "
                "round, the final one included"
            )
            raise FederationError(msg)
        return update

    def end(self) -> None:
        """End a site that waits for a round, by an error out of its `pull`; wait until it is gone.

        A site in the middle of its turn (only after Ctrl-C) is told at its next pull or push.
        """
        self._ended = True
        waiting = self._waiting  # the site itself resets it as soon as it may go
        if waiting:
            self._go.release()
        if waiting or self._finished:
            self._thread.join()

    def _run(self) -> None:
        if self._waiting:
            self._go.release()
        else:
            self._thread.start()
        self._back.acquire()

    def _main(self) -> None:
        try:
            self._body(self)
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            self._error = error
        finally:
            self._finished = True
            self._back.release()

    def _check_may_wait(self) -> None:
        """Refuse to wait for a round that will never come."""
        assert self._pulled is not None, "the first turn starts with a round on offer"
        if self._update is None:
            msg = f"site {self.name}: round {self._pulled.number} was pulled twice; push an answer"
            raise FederationError(msg)
        if self._pulled.final:
            msg = f"site {self.name}: the final round has been answered; there is nothing to pull"
            raise FederationError(msg)

    def _stop_if_ended(self) -> None:
        if self._ended:
            msg = f"site {self.name}: the run was ended"
            raise FederationError(msg)
