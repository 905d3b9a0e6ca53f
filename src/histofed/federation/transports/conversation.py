"""What a simulated site may say, and when: pull, push, pull, push, to the final round."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from histofed.errors import FederationError
from histofed.federation.differences import as_carried
from histofed.federation.state import clone_state

if TYPE_CHECKING:
    from histofed.federation.differences import UpdateDtype
    from histofed.federation.messages import Round, SiteUpdate


class Conversation:
    """One site's side of it, as far as it has got.

    Parameters
    ----------
    update_dtype
        How its updates travel; what a network would round is rounded here.
    """

    def __init__(self, name: str, *, update_dtype: UpdateDtype = "float32") -> None:
        self.name = name
        self._update_dtype = update_dtype
        self.offered: Round | None = None
        self.pulled: Round | None = None
        self.update: SiteUpdate | None = None

    def take(self) -> Round:
        """Return the round on offer, as a copy of its own."""
        offered = self.offered
        assert offered is not None, "whoever takes a round was offered one"
        self.offered, self.update = None, None
        self._base = offered.state
        self.pulled = replace(
            offered, state=clone_state(offered.state), controls=clone_state(offered.controls)
        )
        return self.pulled

    def answer(self, update: SiteUpdate) -> None:
        """Keep the update.

        Raises
        ------
        FederationError
            There is no round to answer.
        """
        if self.pulled is None or self.update is not None:
            msg = f"site {self.name}: pushed without a round to answer; pull first, push once"
            raise FederationError(msg)
        self.update = as_carried(update, self._base, self._update_dtype)

    def check_may_wait(self) -> None:
        """Refuse to wait for a round that will never come."""
        assert self.pulled is not None, "the first turn starts with a round on offer"
        if self.update is None:
            msg = f"site {self.name}: round {self.pulled.number} was pulled twice; push an answer"
            raise FederationError(msg)
        if self.pulled.final:
            msg = f"site {self.name}: the final round has been answered; there is nothing to pull"
            raise FederationError(msg)

    def why_no_answer(self, offered: Round, error: BaseException | None) -> FederationError | None:
        """Return why a site whose turn is over has not answered; None if it has.

        Parameters
        ----------
        error
            What its code raised.
        """
        where = f"site {self.name}, round {offered.number} of {offered.total}"
        if error is not None:
            what = f"{type(error).__name__}: {error}"
            failure = FederationError(f"{where}: the site failed: {what}")
            failure.__cause__ = error
            return failure
        if self.update is None or self.offered is not None:
            return FederationError(
                f"{where}: the site's run ended without an answer; a site pulls and pushes every "
                "round, the final one included"
            )
        return None
