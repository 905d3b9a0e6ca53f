"""What travels between the server and a site: named tensors, never positional lists.

A state maps the names of ``LightningModule.state_dict()`` to tensors in CPU memory: parameters and
buffers alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from histofed.federation.state import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The global model as handed to the sites.

    Rounds 1 to ``total`` train. The message after the last one is *final*: a site loads its state,
    evaluates it, reports the metrics in an update without tensors, and stops. So every aggregated
    model is evaluated at every site, the last one included.

    Attributes
    ----------
    number
        1-based. The state was aggregated ``number - 1`` times; in round 1 it is the initial model.
    total
        Rounds that train. A server that ends early sends a smaller total than it announced.
    state
        The global model.
    run
        Name of the run, so that no answer to another run is taken for one to this.
    controls
        What the strategy hands out beside the model, as SCAFFOLD's control variates.
    trainers
        Sites that train in this round, the others only evaluate; empty: all of them train.
    base
        Digest of the state; an answer repeats it.
    """

    number: int
    total: int
    state: dict[str, Tensor]
    run: str = ""
    controls: dict[str, Tensor] = field(default_factory=dict)
    trainers: tuple[str, ...] = ()
    base: str = field(init=False)

    def __post_init__(self) -> None:
        """Take the digest now: whoever holds the tensors may change them."""
        object.__setattr__(self, "base", digest_of(self.state))

    @property
    def final(self) -> bool:
        """Whether nothing is left to train."""
        return self.number > self.total

    def trains(self, site: str) -> bool:
        """Whether a site trains in this round; else its answer holds metrics alone."""
        return not self.final and (not self.trainers or site in self.trainers)

    def answer(
        self,
        site: str,
        state: dict[str, Tensor],
        *,
        n_patients: int,
        n_steps: int = 0,
        controls: dict[str, Tensor] | None = None,
        metrics: dict[str, float] | None = None,
    ) -> SiteUpdate:
        """Return a site's answer to this round."""
        return SiteUpdate(
            site=site,
            run=self.run,
            round=self.number,
            base=self.base,
            state=state,
            n_patients=n_patients,
            n_steps=n_steps,
            controls=controls or {},
            metrics=metrics or {},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteUpdate:
    """What one site sends back.

    Attributes
    ----------
    site
        Name of the hospital.
    run, round, base
        Run, number and digest of the global model that it answers (`Round.answer`).
    state
        The whole model after local training (not a difference); empty where the site only
        evaluates (`Round.trains`).
    n_patients
        Patients that the site trains on.
    n_steps
        Optimizer steps of this round; 0 where the site only evaluates.
    controls
        Answer to the round's controls, as the strategy asks.
    metrics
        ``train_loss`` of this round's training, and the site's evaluation of the global model *as
        it came in*. A metric that a site cannot compute is left out, never NaN.
    """

    site: str
    round: int
    state: Mapping[str, Tensor]
    n_patients: int
    run: str = ""
    base: str = ""
    n_steps: int = 0
    controls: Mapping[str, Tensor] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
