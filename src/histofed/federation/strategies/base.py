"""What a server rule is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate


class Strategy(Protocol):
    """Turns the updates of one round into the next global model.

    An implementation must not depend on the order of the updates (add in the order of the site
    names), must not average integer or boolean tensors, and must change no tensor that it is given.
    Updates have passed the gate: same names, shapes and dtypes as the global model, all finite.
    """

    def aggregate(
        self, global_state: Mapping[str, Tensor], updates: Sequence[SiteUpdate]
    ) -> dict[str, Tensor]:
        """Return the next global model, in the order, shapes and dtypes of ``global_state``."""
