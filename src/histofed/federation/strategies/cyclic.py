"""Cyclical weight transfer: the model travels from hospital to hospital.

Chang, Balachandar, Lam, Yi, Brown, Beers, Rosen, Rubin, Kalpathy-Cramer. Distributed deep learning
networks among institutions for medical imaging. Journal of the American Medical Informatics
Association 25(8), 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.errors import FederationError
from histofed.federation.state import clone_state
from histofed.federation.strategies.base import Outcome, Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate


@dataclass(frozen=True)
class Cyclic(Strategy):
    """One site trains a round, in turn by name; its model is the next global one.

    The others evaluate. A site whose update is refused loses its turn: the model stays as it was.
    With one site it is that site's model, bit for bit.
    """

    def trainers(self, number: int, sites: Sequence[str]) -> tuple[str, ...]:
        """Return whose turn it is."""
        return (sorted(sites)[(number - 1) % len(sites)],)

    def aggregate(
        self,
        state: Mapping[str, Tensor],
        updates: Sequence[SiteUpdate],
        memory: Mapping[str, Tensor],
    ) -> Outcome:
        """Return the model of the site whose turn it was.

        Raises
        ------
        FederationError
            Several sites trained.
        """
        if len(updates) != 1:
            found = ", ".join(sorted(update.site for update in updates)) or "none"
            msg = f"Cyclic takes the update of one site a round, found {found}"
            raise FederationError(msg)
        trained = clone_state(updates[0].state)
        return Outcome({name: trained[name] for name in state}, {})
