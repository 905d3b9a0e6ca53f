"""The one door between a training site and the rest of the federation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from histofed.federation.messages import Round, SiteUpdate


class TurnOver(Exception):
    """There is no round yet, and nobody waits: whoever pulled shall end, and be started again.

    Out of `Exchange.pull`, where sites are visited one at a time; a `FederatedCallback` with a
    memory has committed all that it needs to go on.
    """


class Exchange(Protocol):
    """A site's view of the federation; every transport offers one.

    The conversation is ``pull, push, pull, push, ...``: every round that is pulled is answered by
    one push, the final round included (`histofed.federation.messages.Round.final`). After that
    there is nothing to pull, and asking is a `histofed.errors.FederationError`. The end is a round
    of its own rather than None, because the last global model has to reach the site.
    """

    def pull(self) -> Round:
        """Return the next round; waits until the server has it.

        Raises
        ------
        FederationError
            The run was ended, or the last round has not been answered.
        """

    def push(self, update: SiteUpdate) -> None:
        """Send the answer to the round pulled last.

        Raises
        ------
        FederationError
            The run was ended, or there is no round to answer.
        """
