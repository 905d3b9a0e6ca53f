"""Who does the work in a process that NVFlare has started: a file of the place says it, no job.

``local/histofed.json`` of a kit names a function of the installed package and its options. The
command that starts the process writes it; what a job brings along cannot change it.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from histofed.federation.differences import UpdateDtype
    from histofed.federation.exchange import Exchange
    from histofed.federation.history import FederatedResult
    from histofed.federation.server import Server

    Sums = dict[str, Tensor]
    Put = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, str]]]

FILE = "histofed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a process is to do.

    Attributes
    ----------
    opens
        ``package.module:function``; called with the options, it returns a `SiteWork` or a
        `ServerWork`.
    options
        What JSON can hold.
    run
        Folder of the run at this place.
    """

    opens: str
    options: dict[str, Any]
    run: str

    def write(self, folder: Path) -> None:
        """Write the file into the folder ``local`` of a kit."""
        content = {"opens": self.opens, "options": self.options, "run": self.run}
        (folder / FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Place:
        """Read the file from the folder ``local`` of a kit.

        Raises
        ------
        ConfigError
            There is none, or it is not such a file.
        """
        file = folder / FILE
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return cls(opens=content["opens"], options=content["options"], run=content["run"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{file}: cannot be read ({type(error).__name__}: {error}); start the process "
            msg += "with `histofed federate serve` or `histofed federate join`, which write it"
            raise ConfigError(msg) from error

    def open(self) -> Any:
        """Return the work."""
        module, _, name = self.opens.partition(":")
        return getattr(importlib.import_module(module), name)(self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the server waits for answers, in seconds.

    Attributes
    ----------
    deadline_s
        After which a round is closed, or the run ends, with what is there.
    grace_s
        Once as many as the quorum have answered, how much longer for the others.
    """

    deadline_s: float
    grace_s: float


class SiteWork(Protocol):
    """What a hospital does.

    A run has parts (the folds of a cross-validation), each a federation of its own.

    Attributes
    ----------
    agreement
        Digest of what the hospital has agreed to.
    update_dtype
        How its updates travel.
    """

    agreement: str
    update_dtype: UpdateDtype

    def facts(self) -> dict[str, Any]:
        """Return what all sites must have in common, and how much there is to learn from."""

    def sums(self, part: str) -> Sums:
        """Return named sums over the training patients of a part, which sites can add up."""

    def train(self, part: str, exchange: Exchange) -> None:
        """Train a part from its present round to its final one."""

    def keep(self, part: str, state: Mapping[str, Tensor]) -> None:
        """Take the finished model of a part."""

    def evaluate(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a question about all finished models on its own tested patients, as JSON can."""


class ServerWork(Protocol):
    """What the server does.

    Attributes
    ----------
    agreement
        Digest of what the hospitals have agreed to.
    run
        Name of the run.
    parts
        Names of its parts, in the order in which they are done.
    sites
        Every hospital that may take part.
    quorum
        Fewest hospitals.
    patience
        How long it waits for them.
    """

    agreement: str
    run: str
    parts: Sequence[str]
    sites: Sequence[str]
    quorum: int
    patience: Patience

    def check(self, facts: Mapping[str, Any]) -> None:
        """Refuse, by name, hospitals that differ in what they must share."""

    def faults_in(self, sums: Mapping[str, Sums]) -> dict[str, str]:
        """Return site -> what is wrong with its sums, which then count for nothing."""

    def resume(self, part: str) -> Server | None:
        """Return the server of a part as it was left; None if it was not begun."""

    def start(self, part: str, sums: Mapping[str, Sums]) -> Server:
        """Return the server of a part that begins.

        Parameters
        ----------
        sums
            Those of each hospital; `faults_in` has let them pass.
        """

    def close(self, part: str, result: FederatedResult) -> None:
        """Keep the outcome of a part."""

    def evaluate(self, put: Put) -> None:
        """Ask about the finished models, and keep what is said.

        Parameters
        ----------
        put
            Puts a question to every site; returns site -> answer, and site -> why there is none.
        """
