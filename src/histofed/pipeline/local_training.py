"""How hospitals train within a round: how long it is, and by which rules beside the strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.errors import ConfigError
from histofed.federation.callbacks.fedprox import FedProx
from histofed.federation.callbacks.scaffold import ScaffoldCorrection
from histofed.federation.differences import DTYPES
from histofed.federation.strategies.scaffold import Scaffold
from histofed.pipeline import build

if TYPE_CHECKING:
    from histofed.federation.callbacks.checks import Unit
    from histofed.federation.callbacks.local_rule import LocalRule
    from histofed.federation.differences import UpdateDtype
    from histofed.pipeline.schema import FederateConfig
    from histofed.pipeline.schema_parts import FederationConfig


def check_federation(config: FederateConfig) -> None:
    """Refuse options of a federation that do not go together.

    Raises
    ------
    ConfigError
        Names the options.
    """
    round_length(config.federation)
    update_dtype_of(config.federation)
    if not isinstance(build.strategy(config.strategy), Scaffold):
        return
    if config.federation.fedprox_mu > 0:
        msg = (
            f"federation.fedprox_mu is {config.federation.fedprox_mu:g}, and strategy=scaffold: "
            "both correct the drift of hospitals, and SCAFFOLD's controls would not know of the "
            "pull; set it to 0, or choose another strategy"
        )
        raise ConfigError(msg)
    if config.trainer.precision == "16-mixed":
        msg = (
            "trainer.precision is 16-mixed, and strategy=scaffold: steps whose gradients overflow "
            "are skipped, and their mean would be lost; choose bf16-mixed or 32-true"
        )
        raise ConfigError(msg)


def check_restarts(rules: FederationConfig) -> None:
    """Refuse rounds that a hospital could not go on with after a restart, to the same bits.

    Raises
    ------
    ConfigError
        Rounds of steps: they end inside an epoch, and where its loader was is on no disk.
    """
    every, unit = round_length(rules)
    if unit == "steps":
        msg = (
            f"federation.steps_per_round is {every}: over a network a hospital may be restarted in "
            "a round, and one inside an epoch could not go on to the same model; count rounds in "
            "epochs (federation.epochs_per_round=1 federation.steps_per_round=null). The "
            "simulation (`histofed federate`) takes steps"
        )
        raise ConfigError(msg)


def round_length(rules: FederationConfig) -> tuple[int, Unit]:
    """Return how long a round is, and what that is counted in.

    Raises
    ------
    ConfigError
        Both lengths are given, or neither.
    """
    if rules.epochs_per_round is not None and rules.steps_per_round is None:
        return rules.epochs_per_round, "epochs"
    if rules.steps_per_round is not None and rules.epochs_per_round is None:
        return rules.steps_per_round, "steps"
    msg = (
        f"federation.epochs_per_round is {_said(rules.epochs_per_round)} and "
        f"federation.steps_per_round is {_said(rules.steps_per_round)}; a round is counted in one "
        "of them, set the other to null"
    )
    raise ConfigError(msg)


def update_dtype_of(rules: FederationConfig) -> UpdateDtype:
    """Return how updates travel.

    Raises
    ------
    ConfigError
        In no way that there is.
    """
    for known in DTYPES:
        if rules.update_dtype == known:
            return known
    msg = f"federation.update_dtype must be {' or '.join(DTYPES)}, found {rules.update_dtype!r}"
    raise ConfigError(msg)


def epochs_in_all(rules: FederationConfig) -> int:
    """Return the epochs that the rounds take; -1, Lightning's word for no end, with steps."""
    every, unit = round_length(rules)
    return rules.rounds * every if unit == "epochs" else -1


def local_rules(config: FederateConfig) -> list[LocalRule]:
    """Return the callbacks that stand beside the federated one, new for each hospital."""
    found: list[LocalRule] = []
    if config.federation.fedprox_mu > 0:
        found.append(FedProx(config.federation.fedprox_mu))
    if isinstance(build.strategy(config.strategy), Scaffold):
        found.append(ScaffoldCorrection())
    return found


def _said(value: int | None) -> str:
    return "null" if value is None else str(value)
