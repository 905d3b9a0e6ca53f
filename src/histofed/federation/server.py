"""The server's side of a run, whatever the transport: gate, quorum, strategy, best model.

A transport hands out `Server.round`, collects the answers, calls `Server.close`, and repeats until
`Server.over`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from histofed.core.words import counted
from histofed.errors import ConfigError, FederationError, UpdateRefused
from histofed.federation.gate import check_update
from histofed.federation.history import RoundRecord
from histofed.federation.messages import Round
from histofed.federation.state import clone_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate
    from histofed.federation.strategies.base import Strategy


@dataclass(frozen=True, slots=True)
class Selection:
    """Which metric picks the best round, and which way is better."""

    metric: str
    mode: Literal["max", "min"] = "max"

    def __post_init__(self) -> None:
        """Refuse a direction that does not exist."""
        if self.mode not in ("max", "min"):
            msg = f"selection of {self.metric}: mode must be 'max' or 'min', got {self.mode!r}"
            raise ConfigError(msg)

    def better(self, score: float, than: float) -> bool:
        """Whether ``score`` beats ``than``; of equals, the earlier model stays."""
        return score > than if self.mode == "max" else score < than


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedResult:
    """The outcome of a run.

    Attributes
    ----------
    state
        The global model after the last round.
    best_state, best_round
        The aggregated model with the best score and the round that made it, 1-based; the last one
        where no selection was asked for. The initial model is scored but never chosen.
    history
        Every round, and the final evaluation.
    """

    state: dict[str, Tensor]
    best_state: dict[str, Tensor]
    best_round: int
    history: tuple[RoundRecord, ...]


class Server:
    """The state of a run between two rounds.

    Parameters
    ----------
    initial_state
        The model that round 1 starts from; it is copied.
    sites
        Names of all the sites.
    rounds
        Rounds that train.
    selection
        How the best round is chosen.
    quorum
        Fewest accepted updates that make a round. None: more than half of the sites, because a
        model made from one or two of many is that of these hospitals, and shows them to the others.

    Raises
    ------
    ConfigError
        No round, no site, or a quorum that cannot be met.
    """

    def __init__(
        self,
        strategy: Strategy,
        initial_state: Mapping[str, Tensor],
        *,
        sites: Iterable[str],
        rounds: int,
        selection: Selection | None = None,
        quorum: int | None = None,
    ) -> None:
        self.sites = tuple(sorted(sites))
        self.quorum = len(self.sites) // 2 + 1 if quorum is None else quorum
        if rounds < 1:
            msg = f"rounds must be at least 1, got {rounds}"
            raise ConfigError(msg)
        if not 1 <= self.quorum <= len(self.sites):
            msg = (
                f"quorum must be in 1..{len(self.sites)}, the number of sites "
                f"({', '.join(self.sites) or 'none'}), got {self.quorum}"
            )
            raise ConfigError(msg)
        self._strategy = strategy
        self._selection = selection
        self._round = Round(number=1, total=rounds, state=clone_state(initial_state))
        self._best: tuple[float, Round] | None = None
        self._history: list[RoundRecord] = []

    @property
    def round(self) -> Round:
        """The round to hand out."""
        return self._round

    @property
    def over(self) -> bool:
        """Whether the final evaluation is in."""
        return bool(self._history) and self._history[-1].final

    def close(self, answers: Mapping[str, SiteUpdate]) -> RoundRecord:
        """Check the answers of the round, aggregate those that pass, and move to the next round.

        Parameters
        ----------
        answers
            By the site that sent each, as the transport knows it.

        Raises
        ------
        FederationError
            Fewer answers than the quorum passed the gate, or no site reports the selection metric.
        """
        current = self._round
        accepted, refused = self._admit(answers)
        if len(accepted) < self.quorum:
            reasons = "".join(f"\n  {refused[site]}" for site in sorted(refused))
            msg = (
                f"round {current.number} of {current.total}: {counted(len(accepted), 'update')} "
                f"accepted of {counted(len(self.sites), 'site')}, the quorum is {self.quorum}; "
                f"mend the sites named here or lower the quorum (federation.min_sites){reasons}"
            )
            raise FederationError(msg)
        record = RoundRecord(
            number=current.number,
            total=current.total,
            metrics={update.site: dict(update.metrics) for update in accepted},
            n_patients={update.site: update.n_patients for update in accepted},
            refused=refused,
            score=self._score(accepted),
        )
        self._consider(record.score)
        if not current.final:
            state = self._strategy.aggregate(current.state, accepted)
            self._round = Round(number=current.number + 1, total=current.total, state=state)
        self._history.append(record)
        return record

    def result(self) -> FederatedResult:
        """Return the outcome of a run that is over."""
        if not self.over:
            msg = f"the run is in round {self._round.number}; its result comes after the final one"
            raise FederationError(msg)
        best = self._best[1] if self._best else self._round
        return FederatedResult(
            state=self._round.state,
            best_state=best.state,
            best_round=best.number - 1,
            history=tuple(self._history),
        )

    def _admit(self, answers: Mapping[str, SiteUpdate]) -> tuple[list[SiteUpdate], dict[str, str]]:
        expected = {} if self._round.final else self._round.state
        accepted, refused = [], {}
        for site in sorted(answers):
            try:
                check_update(answers[site], expected, site=site, round_number=self._round.number)
            except UpdateRefused as refusal:
                refused[site] = str(refusal)
            else:
                accepted.append(answers[site])
        return accepted, refused

    def _score(self, accepted: list[SiteUpdate]) -> float | None:
        """Return the mean of the selection metric, weighted by patients, of the incoming model."""
        if self._selection is None:
            return None
        metric = self._selection.metric
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

    def _consider(self, score: float | None) -> None:
        """Remember the incoming model if it is the best aggregated one so far."""
        if score is None or self._selection is None or self._round.number == 1:
            return
        if self._best is None or self._selection.better(score, self._best[0]):
            self._best = (score, self._round)
