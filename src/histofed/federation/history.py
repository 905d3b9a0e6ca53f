"""What happened, round by round and site by site, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """One closed round.

    Attributes
    ----------
    number, total
        As in `histofed.federation.messages.Round`; the final round has ``number == total + 1``.
    metrics
        Site -> its metrics. ``train_loss`` is of this round's local training; everything else
        describes the global model that came in, see `model`.
    n_patients
        Site -> patients, for the sites whose update was accepted.
    refused
        Site -> why its update was refused.
    absent
        Site -> why it sent none: it failed, or is late.
    score
        Mean of the selection metric over the sites, weighted by patients, of the model that came
        in; None where no selection was asked for.
    """

    number: int
    total: int
    metrics: dict[str, dict[str, float]]
    n_patients: dict[str, int]
    refused: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    score: float | None = None

    @property
    def model(self) -> int:
        """The global model that the evaluation describes: 0 is the initial one, k is round k's."""
        return self.number - 1

    @property
    def final(self) -> bool:
        """Whether this round only evaluated."""
        return self.number > self.total


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


def rows(history: Iterable[RoundRecord]) -> list[dict[str, object]]:
    """Return one row per round and site, sorted, all with the same columns.

    Columns: ``round``, ``model`` (the global model that the evaluation describes), ``site``,
    ``n_patients``, ``refused`` and ``absent`` (empty when accepted), then every metric by name;
    None where a site did not report it.
    """
    records = list(history)
    names = sorted({name for record in records for of in record.metrics.values() for name in of})
    table: list[dict[str, object]] = []
    for record in records:
        for site in sorted(record.metrics | record.refused | record.absent):
            metrics = record.metrics.get(site, {})
            table.append(
                {
                    "round": record.number,
                    "model": record.model,
                    "site": site,
                    "n_patients": record.n_patients.get(site),
                    "refused": record.refused.get(site, ""),
                    "absent": record.absent.get(site, ""),
                    **{name: metrics.get(name) for name in names},
                }
            )
    return table
