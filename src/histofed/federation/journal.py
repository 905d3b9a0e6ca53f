"""The journal of a server: every closed round on disk, so that a killed run goes on.

A round is committed before the next one is handed out. A server that is killed in a round loses
the answers of that round, no more: it hands the round out again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from histofed.errors import ConfigError, StoreError
from histofed.federation.commits import commits_in, read_last, write_commit
from histofed.federation.history import RoundRecord

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

KIND = "journal of a federated run"


class Best(NamedTuple):
    """The best aggregated model so far, the round that made it (1-based), and its score."""

    score: float
    round: int
    state: dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A run between two rounds.

    Attributes
    ----------
    state
        The global model after the last round of `history`.
    memory
        What the strategy has to remember.
    history
        Every round that was closed.
    """

    state: dict[str, Tensor]
    memory: dict[str, Tensor]
    best: Best | None
    history: tuple[RoundRecord, ...]


class Journal:
    """The commits of one run in one folder.

    Parameters
    ----------
    identity
        Name -> what must be the same when the run is resumed: run, strategy, sites, ...
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        self.identity = identity

    def start(self, moment: Moment) -> None:
        """Commit the moment before round 1.

        Raises
        ------
        ConfigError
            The folder holds a run.
        """
        if committed := commits_in(self.folder):
            msg = (
                f"{self.folder} holds a federated run up to round {committed[-1]}; resume it, or "
                "name another folder"
            )
            raise ConfigError(msg)
        self.commit(moment)

    def commit(self, moment: Moment) -> None:
        """Write the moment after a round.

        Raises
        ------
        OutputUnwritable
            The disk is full, or the folder is not ours.
        """
        content = {
            "identity": self.identity,
            "state": moment.state,
            "memory": moment.memory,
            "best": None if moment.best is None else moment.best._asdict(),
            "history": [asdict(record) for record in moment.history],
        }
        write_commit(self.folder, len(moment.history), content, kind=KIND)

    def resume(self) -> tuple[Moment, list[str]]:
        """Return the last moment that is sound, and what is wrong with later commits.

        Raises
        ------
        StoreError
            There is no sound commit, or it is of another run; what differs is named.
        """
        content, faults = read_last(self.folder, kind=KIND)
        found = content["identity"]
        differences = [
            f"{name} is {self.identity.get(name)!r}, was {found.get(name)!r}"
            for name in sorted(self.identity.keys() | found.keys())
            if self.identity.get(name) != found.get(name)
        ]
        if differences:
            msg = (
                f"{self.folder} holds another run: {'; '.join(differences)}. Resume it as it was "
                "started, or name another folder"
            )
            raise StoreError(msg)
        best = content["best"]
        moment = Moment(
            state=content["state"],
            memory=content["memory"],
            best=None if best is None else Best(**best),
            history=tuple(RoundRecord(**record) for record in content["history"]),
        )
        return moment, faults
