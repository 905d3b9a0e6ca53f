"""The plan: what the hospitals of a federation agree on, as a file that each of them can read.

It holds the options of training and of the federation, and who takes part; not where anybody's
patients are. Its digest is the agreement: a hospital serves no job of another.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from histofed.errors import ConfigError
from histofed.io.atomic import atomic_text
from histofed.pipeline.config import with_options

if TYPE_CHECKING:
    from pathlib import Path

    from histofed.pipeline.schema import FederateConfig, FederateProvisionConfig

FILE = "plan.yaml"
LOCAL = {
    "cohort": "not in the plan",
    "work": "not in the plan",
    "features": "not in the plan",
    "run": "not in the plan",
    "overwrite": False,
    "compare": [],
    "choose": None,
}
"""Options of `histofed federate` that each place has its own of, or none."""
NETWORK = ("host", "port", "hospitals", "out")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Options that all share, and who takes part.

    Attributes
    ----------
    options
        Those of `histofed federate`, without those of one place.
    hospitals
        Names, sorted.
    """

    options: dict[str, Any]
    hospitals: tuple[str, ...]

    @classmethod
    def of(cls, config: FederateProvisionConfig) -> Plan:
        """Return the plan that the options describe.

        Raises
        ------
        ConfigError
            Something is asked for that hospitals cannot do together yet.
        """
        if config.choose or config.clinical.columns:
            name = "choose" if config.choose else "clinical.columns"
            msg = f"{name}: hospitals cannot do this over a network yet; leave it out"
            raise ConfigError(msg)
        if config.federation.min_sites > len(config.hospitals):
            msg = (
                f"federation.min_sites is {config.federation.min_sites}, but only "
                f"{len(config.hospitals)} take part ({', '.join(config.hospitals)})"
            )
            raise ConfigError(msg)
        options = {
            name: value
            for name, value in asdict(config).items()
            if name not in LOCAL and name not in NETWORK
        }
        return cls(options=options, hospitals=tuple(sorted(config.hospitals)))

    @property
    def agreement(self) -> str:
        """Digest of the plan."""
        text = json.dumps([self.options, list(self.hospitals)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def parts(self) -> list[str]:
        """Names of the folds, each a federation of its own."""
        return [f"fold-{number}" for number in range(self.options["splits"]["n_folds"])]

    def at(self, **local: Any) -> FederateConfig:
        """Return the options of `histofed federate` at one place.

        Raises
        ------
        ConfigError
            The plan was made for other options than this version has.
        """
        try:
            config: FederateConfig = with_options("federate", {**self.options, **LOCAL}, local)
        except OmegaConfBaseException as error:
            msg = f"{FILE} does not fit this version of histofed ({error}); make the kits again"
            raise ConfigError(msg) from error
        return config

    def write(self, folder: Path) -> None:
        """Write ``plan.yaml``."""
        content = {"hospitals": list(self.hospitals), "agreement": self.agreement, **self.options}
        with atomic_text(folder / FILE) as file:
            file.write(
                "# What all hospitals of this federation agree on. Change nothing here: the\n"
            )
            file.write("# agreement is the digest of the rest.\n")
            file.write(OmegaConf.to_yaml(OmegaConf.create(content)))

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Read ``plan.yaml`` of a kit.

        Raises
        ------
        ConfigError
            There is none, or it was changed.
        """
        file = folder / FILE
        try:
            content = OmegaConf.to_container(OmegaConf.load(file))
        except (OSError, OmegaConfBaseException, ValueError) as error:
            why = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
            msg = f"{file}: cannot be read ({why}); kit=... is a folder that `histofed federate "
            msg += "provision` made"
            raise ConfigError(msg) from error
        if not isinstance(content, dict) or "hospitals" not in content:
            msg = f"{file}: not the plan of a federation; ask the coordinator for the kit again"
            raise ConfigError(msg)
        options: dict[str, Any] = {str(name): value for name, value in content.items()}
        hospitals, agreement = options.pop("hospitals"), options.pop("agreement", None)
        plan = cls(options=options, hospitals=tuple(hospitals))
        if plan.agreement != agreement:
            msg = (
                f"{file}: was changed since it was made: its digest is {plan.agreement[:12]}, it "
                f"says {str(agreement)[:12]}; ask the coordinator for the kit again"
            )
            raise ConfigError(msg)
        return plan
