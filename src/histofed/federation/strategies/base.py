"""What a server rule is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from histofed.core.words import counted
from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate


class Outcome(NamedTuple):
    """What a round gives.

    Attributes
    ----------
    state
        The next global model, in the order, shapes and dtypes of the last one.
    memory
        What the strategy wants back in the next round.
    """

    state: dict[str, Tensor]
    memory: dict[str, Tensor]


class Strategy(ABC):
    """Turns the updates of one round into the next global model.

    An implementation must not depend on the order of the updates (add in the order of the site
    names), must not average integer or boolean tensors, and must change no tensor that it is given.
    Updates have passed the gate: same names, shapes and dtypes as the global model, all finite.

    It keeps nothing of its own: what it has to remember (moments, momentum) is named tensors that
    the server holds and commits with the model, so that a run resumes bit for bit.
    """

    @property
    def fewest(self) -> int:
        """Fewest updates that the rule can work with; a smaller quorum is refused."""
        return 1

    def start(
        self,
        state: Mapping[str, Tensor],
        *,
        trainable: Collection[str] = (),
        sites: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Return the memory before round 1.

        Parameters
        ----------
        state
            The initial model.
        trainable
            Names of the tensors that optimizers change; all others are buffers or frozen.
        sites
            Names of all the sites.
        """
        return {}

    def trainers(self, number: int, sites: Sequence[str]) -> tuple[str, ...]:
        """Return the sites that train in a round; nothing means all of them."""
        return ()

    def controls(self, memory: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the sites are given beside the model."""
        return {}

    @abstractmethod
    def aggregate(
        self,
        state: Mapping[str, Tensor],
        updates: Sequence[SiteUpdate],
        memory: Mapping[str, Tensor],
    ) -> Outcome:
        """Return the next global model and the memory that goes with it.

        Parameters
        ----------
        state
            The global model that the updates answer.
        updates
            Of the sites that trained, `fewest` or more. A state may read a tensor from disk each
            time it is asked for one, so take tensor by tensor, site by site.
        """


def check_strategy(strategy: Strategy, quorum: int, *, sites: Collection[str]) -> None:
    """Refuse a strategy that rounds of so few updates cannot serve.

    Raises
    ------
    ConfigError
        Names the strategy, what it needs, and what there is.
    """
    need = f"strategy {strategy} needs {counted(strategy.fewest, 'update')} a round or more"
    if len(sites) < strategy.fewest:
        msg = (
            f"{need}, and there are {counted(len(sites), 'site')} "
            f"({', '.join(sorted(sites)) or 'none'}); choose another strategy"
        )
        raise ConfigError(msg)
    if quorum < strategy.fewest:
        msg = (
            f"{need}, and the quorum is {quorum}; raise it to {strategy.fewest} "
            "(federation.min_sites), or choose another strategy"
        )
        raise ConfigError(msg)
