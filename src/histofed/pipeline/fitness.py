"""Whether training and aggregator, as chosen, suit the task: asked before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from histofed.core.tasks import ClassTask, SurvivalTask
from histofed.errors import ConfigError
from histofed.pipeline import build
from histofed.pipeline.config import config_dir, groups

if TYPE_CHECKING:
    from histofed.core.tasks import Task
    from histofed.pipeline.schema import TrainConfig


def check_fitness(config: TrainConfig, task: Task) -> None:
    """Refuse what the task has no use for, or cannot give.

    Raises
    ------
    ConfigError
        Without classes that exclude one another, balancing or an aggregator that needs them; a way
        to learn survival where another thing is asked.
    """
    if config.trainer.survival_loss != "hazard" and not isinstance(task, SurvivalTask):
        msg = f"trainer.survival_loss is {config.trainer.survival_loss}, and task {task.name} is "
        msg += f"{task.kind}; leave it at hazard, or choose a survival task"
        raise ConfigError(msg)
    if isinstance(task, ClassTask):
        return
    without = f"task {task.name} ({task.kind}) has no classes that exclude one another"
    if config.trainer.balance != "none":
        msg = f"trainer.balance is {config.trainer.balance}, and {without}; leave it at none"
        raise ConfigError(msg)
    target = config.aggregator["_target_"]
    if build.needs_classes(target):
        msg = (
            f"aggregator {target.rpartition('.')[2]} learns tiles by the class of their patient, "
            f"and {without}; choose another: aggregator={' | '.join(_others())}"
        )
        raise ConfigError(msg)


def _others() -> list[str]:
    """Return the choices of ``configs/aggregator`` that need no classes."""
    folder = config_dir() / "aggregator"
    return [
        name
        for name in groups()["aggregator"]
        if not build.needs_classes(
            OmegaConf.select(OmegaConf.load(folder / f"{name}.yaml"), "_target_")
        )
    ]
