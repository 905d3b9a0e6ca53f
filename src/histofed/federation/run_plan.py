"""What is fixed when a run starts: who takes part, how long, what a round needs, what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from histofed.errors import ConfigError
from histofed.federation.strategies.base import check_strategy

if TYPE_CHECKING:
    from collections.abc import Collection

    from histofed.federation.limits import Limits
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
class RunPlan:
    """A run, but for the strategy and the model that it starts from.

    Attributes
    ----------
    sites
        Names of all the sites; kept in the order of the alphabet.
    rounds
        Rounds that train.
    selection
        How the best round is chosen.
    quorum
        Fewest accepted updates that make a round. None: more than half of the sites, because a
        model made from one or two of many is that of these hospitals, and shows them to the others;
        and no fewer than the strategy can work with.
    run, config
        Name of the run, and digest of its options: a resumed run must have the same.
    limits
        What the gate lets pass.

    Raises
    ------
    ConfigError
        No round, no site, or a quorum that cannot be met.
    """

    sites: Collection[str]
    rounds: int
    selection: Selection | None = None
    quorum: int | None = None
    run: str = ""
    config: str = ""
    limits: Limits | None = None

    def __post_init__(self) -> None:
        """Sort the sites; refuse what nobody can do."""
        sites = tuple(sorted(self.sites))
        object.__setattr__(self, "sites", sites)
        if self.rounds < 1:
            msg = f"rounds must be at least 1, got {self.rounds}"
            raise ConfigError(msg)
        quorum = len(sites) // 2 + 1 if self.quorum is None else self.quorum
        if not 1 <= quorum <= len(sites):
            msg = (
                f"quorum must be in 1..{len(sites)}, the number of sites "
                f"({', '.join(sites) or 'none'}), got {quorum}"
            )
            raise ConfigError(msg)

    def quorum_of(self, strategy: Strategy) -> int:
        """Return the fewest updates of a round.

        Raises
        ------
        ConfigError
            The strategy needs more than the plan asks for, or than there are sites.
        """
        quorum = self.quorum or max(len(self.sites) // 2 + 1, strategy.fewest)
        check_strategy(strategy, quorum, sites=self.sites)
        return quorum

    def identity(self, strategy: Strategy) -> dict[str, object]:
        """Return what a resumed run must share with the one that was killed."""
        return {
            "run": self.run,
            "config": self.config,
            "strategy": repr(strategy),
            "sites": self.sites,
            "rounds": self.rounds,
            "selection": repr(self.selection),
        }
