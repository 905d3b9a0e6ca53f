"""Sites visited one at a time, for simulations of more sites than fit in memory.

What `run_sites` keeps alive for every site (a thread, a trainer, a model, an update) lies on disk
here: a site's code runs for one round and is ended by `histofed.federation.exchange.TurnOver`; the
memory of its `FederatedCallback` brings it back in the next. Of models and updates, one site's and
one tensor are held at a time, however many sites there are: what a visit leaves behind is collected
before the next. The result is that of `run_sites`, bit for bit; the last round is trained twice: a
trainer that is done cannot go on to the final one.
"""

from __future__ import annotations

import gc
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from histofed.errors import FederationError
from histofed.federation.commits import commits_in
from histofed.federation.exchange import TurnOver
from histofed.federation.random_state import RandomState, undisturbed
from histofed.federation.run_plan import RunPlan
from histofed.federation.server import Server
from histofed.federation.spool import spooled
from histofed.federation.transports.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from histofed.federation.differences import UpdateDtype
    from histofed.federation.exchange import Exchange
    from histofed.federation.history import FederatedResult, RoundRecord
    from histofed.federation.limits import Limits
    from histofed.federation.messages import Round, SiteUpdate
    from histofed.federation.run_plan import Selection
    from histofed.federation.strategies.base import Strategy


def visit_sites(
    sites: Mapping[str, Callable[[Exchange, Path], None]],
    strategy: Strategy,
    *,
    folder: Path,
    initial_state: Mapping[str, Tensor],
    rounds: int,
    selection: Selection | None = None,
    quorum: int | None = None,
    limits: Limits | None = None,
    trainable: Collection[str] = (),
    update_dtype: UpdateDtype = "float32",
    on_round: Callable[[RoundRecord], None] | None = None,
) -> FederatedResult:
    """Run a federation to its end, visiting every site once a round.

    Parameters
    ----------
    sites
        Name -> the site's whole run, given an exchange and the folder that is the ``memory`` of its
        `FederatedCallback`. It is started anew in every round, from the caller's random state, so
        data and model belong inside.
    folder
        Empty or missing; holds the memories, and the updates of one round.
    strategy, initial_state, rounds, selection, quorum, limits, trainable, update_dtype,
    on_round
        As in `histofed.federation.transports.in_process.run_sites`.

    Raises
    ------
    ConfigError, FederationError
        As `run_sites`; or the folder holds the memory of another run.
    """
    memories = folder / "sites"
    for name in sites:
        if commits_in(memories / name):
            msg = f"{memories / name} holds the memory of another run; name another folder"
            raise FederationError(msg)
    plan = RunPlan(sites=sites, rounds=rounds, selection=selection, quorum=quorum, limits=limits)
    server = Server(strategy, plan, initial_state=initial_state, trainable=trainable)
    start = RandomState.capture()
    failed: dict[str, FederationError] = {}
    with _collecting_only_new():
        while not server.over:
            answers: dict[str, SiteUpdate | FederationError] = {**failed}
            for name in [name for name in server.sites if name not in failed]:
                with undisturbed():
                    start.restore()
                    said = Conversation(name, update_dtype=update_dtype)
                    answer = _visit(said, sites[name], server.round, memory=memories / name)
                if isinstance(answer, FederationError):
                    answers[name] = failed[name] = answer
                else:
                    answers[name] = spooled(answer, folder / "updates" / name)
                # A trainer and its loops refer to one another, so only the collector frees them;
                # by itself it waits until a quarter of all the objects of the process are new.
                gc.collect()
            record = server.close(answers)
            shutil.rmtree(folder / "updates", ignore_errors=True)
            if on_round is not None:
                on_round(record)
    return server.result()


@contextmanager
def _collecting_only_new() -> Iterator[None]:
    """Keep the collector from what was there before: half a million objects take half a second."""
    if gc.get_freeze_count():  # somebody else's; to unfreeze would undo it
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Visit:
    """The exchange of one visit: one round, one answer, and no waiting for the next round."""

    def __init__(self, said: Conversation) -> None:
        self._said = said

    def pull(self) -> Round:
        """Take the round on offer, once."""
        if self._said.offered is None:
            self._said.check_may_wait()
            raise TurnOver
        return self._said.take()

    def push(self, update: SiteUpdate) -> None:
        """Keep the update."""
        self._said.answer(update)


def _visit(
    said: Conversation,
    body: Callable[[Exchange, Path], None],
    offered: Round,
    *,
    memory: Path,
) -> SiteUpdate | FederationError:
    """Return a site's answer to a round, or why there is none."""
    said.offered = offered
    error: Exception | None = None
    try:
        body(_Visit(said), memory)
    except TurnOver:
        pass
    except Exception as raised:  # noqa: BLE001  told in the record of the round
        error = raised
    failure = said.why_no_answer(offered, error)
    if failure is not None:
        return failure
    assert said.update is not None, "a site without an update has failed"
    return said.update
