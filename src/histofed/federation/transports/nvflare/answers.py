"""What came back of a question, and whether that is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from histofed.core.words import counted
from histofed.errors import FederationError

if TYPE_CHECKING:
    from collections.abc import Collection


class Answers(NamedTuple):
    """What came back: site -> bytes, and site -> why there are none."""

    messages: dict[str, bytes]
    refused: dict[str, FederationError]

    def check_quorum(
        self, there: Collection[str], quorum: int, sites: Collection[str], *, when: str
    ) -> None:
        """Refuse to go on with too few of all sites there, whose answers can be used.

        Raises
        ------
        FederationError
            Fewer than the quorum; the others' reasons are named.
        """
        if len(there) < quorum:
            reasons = "".join(f"\n  {self.refused[site]}" for site in sorted(self.refused))
            msg = (
                f"{when}: {counted(len(there), 'hospital')} of {len(sites)}, the quorum "
                f"is {quorum}{reasons}"
            )
            raise FederationError(msg)
