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
from histofed.federation.commits import commits_in
from histofed.federation.random_state import RandomState, undisturbed
from histofed.federation.run_plan import RunPlan
from histofed.federation.server import Server
from histofed.federation.transports.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from torch import Tensor

    from histofed.federation.differences import UpdateDtype
    from histofed.federation.exchange import Exchange
    from histofed.federation.history import FederatedResult, RoundRecord
    from histofed.federation.limits import Limits
    from histofed.federation.messages import Round, SiteUpdate
    from histofed.federation.run_plan import Selection
    from histofed.federation.strategies.base import Strategy


def run_sites(
    sites: Mapping[str, Callable[[Exchange], None]],
    strategy: Strategy,
    *,
    initial_state: Mapping[str, Tensor],
    rounds: int,
    selection: Selection | None = None,
    quorum: int | None = None,
    limits: Limits | None = None,
    trainable: Collection[str] = (),
    update_dtype: UpdateDtype = "float32",
    run: str = "",
    folder: Path | None = None,
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
    strategy, initial_state, rounds, selection, quorum, limits, trainable, run
        As in `histofed.federation.server.Server` and `histofed.federation.run_plan.RunPlan`. The
        initial model is evaluated in round 1 and the last aggregated one in the final round
        ``rounds + 1``, so every global model has its metrics from every site.
    update_dtype
        How updates would travel over a network; they are rounded as there.
    folder
        Where the server commits every closed round; a run that is there already goes on after its
        last one (and ``initial_state`` is not looked at). Sites go on if each has a ``memory``.
    on_round
        Called in the caller's thread after each round, the final one included.

    Raises
    ------
    ConfigError
        No round, no site, or a quorum that cannot be met.
    FederationError
        Too few updates were accepted: the run ends, and the sites with it. One site that raises,
        stops answering or sends what the gate refuses does not end it; the first two stay out of
        all later rounds, and every round's record says why.
    StoreError
        ``folder`` holds another run.
    """
    plan = RunPlan(
        sites=sites, rounds=rounds, selection=selection, quorum=quorum, limits=limits, run=run
    )
    if folder is not None and commits_in(folder):
        server = Server.resume(strategy, plan, folder=folder)
    else:
        server = Server(
            strategy, plan, initial_state=initial_state, trainable=trainable, folder=folder
        )
    members = [_Site(name, sites[name], update_dtype) for name in server.sites]
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

    def __init__(
        self, name: str, body: Callable[[Exchange], None], update_dtype: UpdateDtype
    ) -> None:
        self.name = name
        self._body = body
        self._random = RandomState.capture()
        # A daemon, so that Ctrl-C in the middle of a turn does not wait for the turn to end.
        self._thread = Thread(target=self._main, name=f"site-{name}", daemon=True)
        self._go, self._back = Semaphore(0), Semaphore(0)
        self._waiting = self._finished = self._ended = False
        self._error: BaseException | None = None
        self._said = Conversation(name, update_dtype=update_dtype)
        self._failure: FederationError | None = None

    # Called by the site, in its own thread.

    def pull(self) -> Round:
        """Take the round on offer; give the baton away until there is one."""
        self._stop_if_ended()
        if self._said.offered is None:
            self._said.check_may_wait()
            self._waiting = True
            self._back.release()
            self._go.acquire()
            self._waiting = False
            self._stop_if_ended()
        return self._said.take()

    def push(self, update: SiteUpdate) -> None:
        """Keep the update for the end of the turn."""
        self._stop_if_ended()
        self._said.answer(update)

    # Called by run_sites, in the caller's thread.

    def take_turn(self, offered: Round) -> SiteUpdate | FederationError:
        """Let the site run until it wants the next round or is done.

        Returns
        -------
        SiteUpdate or FederationError
            Its answer, or why there is none, now and ever after.
        """
        if self._failure is None:
            self._said.offered = offered
            if not self._finished:
                with undisturbed():
                    self._random.restore()
                    self._run()
                    self._random = RandomState.capture()
            self._failure = self._said.why_no_answer(offered, self._error)
        if self._failure is not None:
            return self._failure
        assert self._said.update is not None, "a site without an update has failed"
        return self._said.update

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

    def _stop_if_ended(self) -> None:
        if self._ended:
            msg = f"site {self.name}: the run was ended"
            raise FederationError(msg)
