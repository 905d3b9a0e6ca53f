"""Composing a verb's options from ``configs/`` and the command line, and refusing wrong ones."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from histofed.errors import ConfigError
from histofed.pipeline.build import check_component
from histofed.pipeline.limits import check_limits
from histofed.pipeline.schema import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hydra.core.override_parser.types import Override

COMPONENTS = ("encoder", "tissue", "aggregator", "strategy")
"""Options that name a class of ours (``_target_``) and its arguments."""


def config_dir() -> Path:
    """Return the folder of the configs: inside an installed package, or beside ``src``."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "configs", package.parents[1] / "configs"):
        if (folder / "train.yaml").is_file():
            return folder
    msg = f"histofed's configs are in neither {package / 'configs'} nor "
    msg += f"{package.parents[1] / 'configs'}; install the package again"
    raise ConfigError(msg)


def groups() -> dict[str, list[str]]:
    """Return every config group and its choices, as the folder has them."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(config_dir().iterdir())
        if folder.is_dir()
    }


def compose(verb: str, overrides: Sequence[str]) -> DictConfig:
    """Compose and check the options of a verb.

    Raises
    ------
    ConfigError
        A misspelt or impossible option; it is named with what is allowed.
    """
    overrides = [quoted(each) for each in overrides]
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        msg = f"{verb}: options are written name=value, {_first_line(error)}"
        raise ConfigError(msg) from error
    choices = [item for item in parsed if item.key_or_group in groups()]
    for item in choices:
        _check_choice(item)
    chosen = [item.input_line for item in choices if item.input_line]
    if preset := _tissue_of_cancer(_compose(verb, chosen), choices):
        chosen, overrides = [*chosen, preset], [*overrides, preset]
    known = _compose(verb, chosen)
    for item in parsed:
        if item.key_or_group not in groups():
            _check_name(verb, item.key_or_group, known)
    return checked(verb, _compose(verb, overrides))


def checked(verb: str, config: DictConfig) -> DictConfig:
    """Return the options with their types, after every check that needs no file.

    Raises
    ------
    ConfigError
        A value of the wrong type, an option not given, a component that does not exist, a task
        that is not of the cancer.
    """
    try:
        typed = OmegaConf.merge(OmegaConf.structured(SCHEMAS[verb]), config)
        assert isinstance(typed, DictConfig)
        missing = sorted(OmegaConf.missing_keys(typed))
        if not missing:
            OmegaConf.resolve(typed)
    except OmegaConfBaseException as error:
        msg = f"{verb}: {getattr(error, 'full_key', '') or ''}: {_first_line(error)}"
        raise ConfigError(msg) from error
    if missing:
        msg = f"{', '.join(missing)} must be given, as in `histofed {verb} {missing[0]}=...`"
        raise ConfigError(msg)
    for name in COMPONENTS:
        if name in typed:
            check_component(name, typed[name])
    check_limits(typed)
    if "task" in typed and typed.task.name not in typed.cancer.tasks:
        msg = (
            f"task={typed.task.name} is not a task of cancer={typed.cancer.name}; "
            f"its tasks are {', '.join(typed.cancer.tasks)}"
        )
        raise ConfigError(msg)
    return typed


def to_object(config: DictConfig) -> Any:
    """Return the options as the plain dataclass of the verb."""
    return OmegaConf.to_object(config)


def quoted(override: str) -> str:
    """Quote a value that Hydra's grammar does not know: letters beyond ASCII (``run=köln``)."""
    name, equals, value = override.partition("=")
    if not equals or value.isascii() or value[0] in "'\"[{":
        return override
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{escaped}'"


def _compose(verb: str, overrides: Iterable[str]) -> DictConfig:
    try:
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(config_dir())):
            return hydra.compose(verb, list(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        msg = f"{verb}: {_first_line(error.__cause__ or error)}"
        raise ConfigError(msg) from error


def _tissue_of_cancer(known: DictConfig, choices: list[Override]) -> str | None:
    """Return ``tissue=<preset>`` where the cancer asks for one and the user chose none."""
    named = any(item.key_or_group == "tissue" for item in choices)
    if named or "tissue" not in known or "tissue" not in (known.get("cancer") or {}):
        return None
    return f"tissue={known.cancer.tissue}"


def _check_choice(item: Override) -> None:
    """Check ``group=choice``."""
    group, allowed = item.key_or_group, groups()[item.key_or_group]
    choice = item.value()
    if choice not in allowed and not (choice is None and group == "experiment"):
        raise _unknown(group + "=" + str(choice), str(choice), allowed, prefix=group + "=")


def _check_name(verb: str, name: str, known: DictConfig) -> None:
    """Check that an option exists, part by part."""
    if name.split(".")[0].split("/")[0] == "hydra":
        return
    node: Any = known
    parts = name.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(node, DictConfig) or part not in list(node):
            allowed = [str(key) for key in node] if isinstance(node, DictConfig) else []
            if depth == 0:
                allowed = sorted({*allowed, *(group for group in groups() if group in node)})
            parent = "".join(f"{above}." for above in parts[:depth])
            raise _unknown(verb + ": " + name, part, allowed, prefix=parent)
        node = node._get_node(part)
        node = node if isinstance(node, DictConfig) else None


def _unknown(what: str, word: str, allowed: list[str], *, prefix: str) -> ConfigError:
    near = difflib.get_close_matches(word, allowed, n=1)
    guess = f" Did you mean {prefix}{near[0]}?" if near else ""
    return ConfigError(f"{what} is not known. Allowed: {', '.join(allowed) or 'nothing'}.{guess}")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
