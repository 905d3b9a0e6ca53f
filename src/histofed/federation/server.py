"""The server's side of a run, whatever the transport: gate, quorum, strategy, best model.

A transport hands out `Server.round`, collects the answers, calls `Server.close`, and repeats until
`Server.over`.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from histofed.core.words import counted
from histofed.errors import FederationError
from histofed.federation.gate import admit, infinite_in, moved_too_far
from histofed.federation.history import FederatedResult, RoundRecord
from histofed.federation.journal import Best, Journal, Moment
from histofed.federation.messages import Round
from histofed.federation.state import clone_state

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate
    from histofed.federation.run_plan import RunPlan
    from histofed.federation.strategies.base import Strategy


_log = logging.getLogger(__name__)


class Server:
    """The state of a run between two rounds.

    Parameters
    ----------
    initial_state
        The model that round 1 starts from; it is copied.
    trainable
        Names of the tensors that the sites' optimizers change (`state.trainable_names`), for
        strategies that treat them otherwise than buffers.
    folder
        Where every closed round is committed, so that `resume` goes on after a crash. None: the run
        lives in memory.

    Attributes
    ----------
    sites
        As in the plan.
    quorum
        Fewest accepted updates that make a round.

    Raises
    ------
    ConfigError
        A quorum that is too small for the strategy, a strategy that must know the trainable tensors
        and does not, or a folder that holds a run.
    """

    def __init__(
        self,
        strategy: Strategy,
        plan: RunPlan,
        *,
        initial_state: Mapping[str, Tensor],
        trainable: Collection[str] = (),
        folder: Path | None = None,
    ) -> None:
        self._set_up(strategy, plan)
        state = clone_state(initial_state)
        memory = strategy.start(state, trainable=trainable, sites=self.sites)
        moment = Moment(state=state, memory=memory, best=None, history=())
        self._journal = None if folder is None else Journal(folder, plan.identity(strategy))
        if self._journal is not None:
            self._journal.start(moment)
        self._stand_at(moment)

    @classmethod
    def resume(cls, strategy: Strategy, plan: RunPlan, *, folder: Path) -> Server:
        """Return the server of a run that was killed, as it was after the last committed round.

        Run, options, strategy, sites, rounds and selection must be as they were when the run was
        started; the quorum may be lowered when a hospital has left. A damaged commit is logged as a
        warning, and the run goes on from the one before.

        Raises
        ------
        ConfigError
            A quorum that is too small for the strategy.
        StoreError
            The folder holds no sound commit, or another run; what differs is named.
        """
        server = cls.__new__(cls)
        server._set_up(strategy, plan)
        server._journal = Journal(folder, plan.identity(strategy))
        moment, faults = server._journal.resume()
        for fault in faults:
            _log.warning("%s; the run goes on from round %d", fault, len(moment.history) + 1)
        server._stand_at(moment)
        return server

    def _set_up(self, strategy: Strategy, plan: RunPlan) -> None:
        self.sites = tuple(plan.sites)
        self.quorum = plan.quorum_of(strategy)
        self._strategy, self._plan = strategy, plan

    @property
    def round(self) -> Round:
        """The round to hand out."""
        return self._round

    @property
    def over(self) -> bool:
        """Whether the final evaluation is in."""
        return bool(self._history) and self._history[-1].final

    def close(self, answers: Mapping[str, SiteUpdate | FederationError]) -> RoundRecord:
        """Check the answers of the round, aggregate those that pass, and move to the next round.

        Parameters
        ----------
        answers
            By the site that sent each, as the transport knows it: its update, or why there is none
            (`histofed.federation.gate.admit`).

        Raises
        ------
        FederationError
            Fewer answers than the quorum passed the gate, no site reports the selection metric, or
            no site would take what the strategy made.
        """
        current = self._round
        accepted, refused, absent = admit(answers, current, limits=self._plan.limits)
        if len(accepted) < self.quorum:
            errors = (each for each in answers.values() if isinstance(each, FederationError))
            too_few = self._too_few(len(accepted), {**refused, **absent})
            raise too_few from next(errors, None)
        record = RoundRecord(
            number=current.number,
            total=current.total,
            metrics={update.site: dict(update.metrics) for update in accepted},
            n_patients={update.site: update.n_patients for update in accepted},
            refused=refused,
            absent=absent,
            score=self._score(accepted),
        )
        state, memory = current.state, self._memory
        # None has trained in the final round, or where the sites whose turn it was were refused.
        if trained := [update for update in accepted if current.trains(update.site)]:
            state, memory = self._strategy.aggregate(state, trained, memory)
            self._check_made(state, memory)
        moment = Moment(
            state=state,
            memory=memory,
            best=self._best_with(record.score),
            history=(*self._history, record),
        )
        if self._journal is not None:
            self._journal.commit(moment)
        self._stand_at(moment)
        return record

    def result(self) -> FederatedResult:
        """Return the outcome of a run that is over."""
        if not self.over:
            msg = f"the run is in round {self._round.number}; its result comes after the final one"
            raise FederationError(msg)
        last = self._round.state
        return FederatedResult(
            state=last,
            best_state=self._best.state if self._best else last,
            best_round=self._best.round if self._best else self._plan.rounds,
            history=self._history,
        )

    def _too_few(self, n_accepted: int, left_out: Mapping[str, str]) -> FederationError:
        reasons = "".join(f"\n  {why}" for _, why in sorted(left_out.items()))
        return FederationError(
            f"round {self._round.number} of {self._round.total}: {counted(n_accepted, 'update')} "
            f"accepted of {counted(len(self.sites), 'site')}, the quorum is {self.quorum}; "
            f"mend the sites named here or lower the quorum (federation.min_sites){reasons}"
        )

    def _check_made(self, state: Mapping[str, Tensor], memory: Mapping[str, Tensor]) -> None:
        """Refuse a model that no site would take; the last committed round stays the last."""
        fault = infinite_in(state) or infinite_in(memory)
        if fault := fault or moved_too_far(state, self._round.state):
            msg = (
                f"round {self._round.number} of {self._round.total}: what {self._strategy!r} made "
                f"of the updates was not committed: {fault}. Lower the server's step "
                "(strategy.learning_rate) or trainer.learning_rate"
            )
            raise FederationError(msg)

    def _score(self, accepted: list[SiteUpdate]) -> float | None:
        """Return the mean of the selection metric, weighted by patients, of the incoming model."""
        if self._plan.selection is None:
            return None
        metric = self._plan.selection.metric
        voters = [update for update in accepted if metric in update.metrics]
        if not voters:
            known = sorted({name for update in accepted for name in update.metrics})
            msg = (
                f"round {self._round.number}: no site reports {metric!r}, which picks the best "
                f"round; reported: {', '.join(known) or 'nothing'}"
            )
            raise FederationError(msg)
        patients = sum(update.n_patients for update in voters)
        return math.fsum(v.n_patients * v.metrics[metric] for v in voters) / patients

    def _best_with(self, score: float | None) -> Best | None:
        """Return the best aggregated model, now that the incoming one has a score."""
        current, selection = self._round, self._plan.selection
        if score is None or selection is None or current.number == 1:
            return self._best
        if self._best is None or selection.better(score, self._best.score):
            return Best(score, current.number - 1, current.state)
        return self._best

    def _stand_at(self, moment: Moment) -> None:
        """Make this the state of the run; the next round is the one to hand out."""
        self._memory, self._best, self._history = moment.memory, moment.best, moment.history
        number = min(len(moment.history), self._plan.rounds) + 1
        self._round = Round(
            number=number,
            total=self._plan.rounds,
            state=moment.state,
            run=self._plan.run,
            controls=self._strategy.controls(moment.memory),
            trainers=self._strategy.trainers(number, self.sites),
        )
