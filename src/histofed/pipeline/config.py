"""Composing a verb's options from ``configs/`` and the command line, and refusing wrong ones."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from histofed.errors import ConfigError, did_you_mean
from histofed.pipeline.build import check_component, each_encoder
from histofed.pipeline.limits import check_limits
from histofed.pipeline.schema import SCHEMAS
from histofed.pipeline.several import SEVERAL, check_list, with_several

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hydra.core.override_parser.types import Override

COMPONENTS = ("encoder", "tissue", "stain", "slide_encoder", "aggregator", "strategy")
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


def files_of(verb: str) -> list[Path]:
    """Return the config file of a verb, and before it those that it starts from."""
    file = config_dir() / f"{verb}.yaml"
    bases = [each for each in _defaults(file) if isinstance(each, str) and each != "_self_"]
    return [*(path for base in bases for path in files_of(base)), file]


def groups_of(verb: str) -> list[str]:
    """Return the config groups that a verb has a choice of."""
    found = [
        str(name).removeprefix("optional ")
        for file in files_of(verb)
        for each in _defaults(file)
        if not isinstance(each, str)
        for name in each
    ]
    return sorted(set(found))


def _defaults(file: Path) -> list[Any]:
    loaded = OmegaConf.load(file)
    return list(loaded.get("defaults", [])) if isinstance(loaded, DictConfig) else []


def compose(verb: str, overrides: Sequence[str]) -> DictConfig:
    """Compose and check the options of a verb.

    Raises
    ------
    ConfigError
        A misspelt or impossible option; it is named with what is allowed.
    """
    overrides = [quoted(each) for each in overrides]
    check_options(verb, overrides)
    return checked(verb, _compose(verb, with_preset(verb, overrides)))


def check_options(verb: str, overrides: Sequence[str]) -> None:
    """Check that options are written as options, and that what they name exists.

    Raises
    ------
    ConfigError
        One is misspelt; it is named with what is allowed.
    """
    for each in overrides:
        if "=" not in each and not each.startswith("~"):
            msg = f"{each!r}: options are written name=value, without spaces"
            raise ConfigError(msg)
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        told = _first_line(error).replace("LexerNoViableAltException:", "cannot read")
        msg = "options are written name=value, a value with other letters or signs in quotes "
        msg += f"('name=[\"a b\"]'): {told}"
        raise ConfigError(msg) from error
    choices = [item for item in parsed if item.key_or_group in groups()]
    for item in choices:
        _check_choice(verb, item)
    known = _compose(verb, with_preset(verb, _alone(choices)))
    for item in parsed:
        if item.key_or_group not in groups():
            _check_name(verb, item.key_or_group, known)


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
        msg = f"{getattr(error, 'full_key', '') or 'options'}: {_in_words(_first_line(error))}"
        raise ConfigError(msg) from error
    if missing:
        spoken = verb.replace("_", " ")
        msg = f"{', '.join(missing)} must be given, as in `histofed {spoken} {missing[0]}=...`"
        raise ConfigError(msg)
    for name in COMPONENTS:
        if name in typed:
            for option, component in _each(verb, name, typed[name]).items():
                check_component(name, component, option=option)
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


def with_options(verb: str, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Return the options of a verb with some changed, after every check.

    Raises
    ------
    ConfigError
        As `checked`, or an option that does not exist.
    """
    changed = OmegaConf.create(dict(config))
    for name, value in options.items():
        _check_name(verb, name, changed)
        OmegaConf.update(changed, name, value)
    return to_object(checked(verb, changed))


def quoted(override: str) -> str:
    """Return an option as Hydra's grammar wants it; it knows fewer signs than names of files have.

    Quoted are values that it cannot read, as in ``run=köln`` or ``work=a(1)``. A ``~`` before a
    folder is the home of whoever typed it: shells see to that at the beginning of a word only.
    """
    name, equals, value = override.partition("=")
    if not equals or not value or value[0] in "'\"[{":
        return override
    value = os.path.expanduser(value)  # noqa: PTH111  # that of pathlib fails for names of nobody
    if _is_read(f"{name}={value}"):
        return f"{name}={value}"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{escaped}'"


def _is_read(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True


def _compose(verb: str, overrides: Iterable[str]) -> DictConfig:
    try:
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(config_dir())):
            return hydra.compose(verb, with_several(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(_in_words(_first_line(error.__cause__ or error))) from error


def with_preset(verb: str, overrides: Sequence[str]) -> list[str]:
    """Return the options with the tissue method that the cancer asks for, if none was chosen."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    choices = [item for item in parsed if item.key_or_group in groups()]
    known = _compose(verb, _alone(choices))
    named = any(item.key_or_group == "tissue" for item in choices)
    if named or "tissue" not in known or "tissue" not in (known.get("cancer") or {}):
        return list(overrides)
    return [*overrides, f"tissue={known.cancer.tissue}"]


def _alone(choices: Iterable[Override]) -> list[str]:
    """Return the choices that are the same in all jobs of a sweep."""
    return [item.input_line for item in choices if item.input_line and not item.is_sweep_override()]


def _check_choice(verb: str, item: Override) -> None:
    """Check ``group=choice``, or each of ``group=one,two``."""
    group, allowed = item.key_or_group, groups()[item.key_or_group]
    if group not in groups_of(verb):
        theirs = ", ".join(groups_of(verb)) or "none"
        msg = f"{group} is no choice of {verb}; its choices are: {theirs}"
        raise ConfigError(msg)
    check_list(verb, item)
    value = item.value()
    choices = value.list if isinstance(value, ChoiceSweep) else value
    for choice in choices if isinstance(choices, list) else [choices]:
        name = choice.text if isinstance(choice, QuotedString) else choice
        if name not in allowed and not (name is None and group == "experiment"):
            raise _unknown(group + "=" + str(name), str(name), allowed, prefix=group + "=")


def _each(verb: str, name: str, config: Any) -> dict[str, Any]:
    """Return option -> component: one, or several where the verb takes them."""
    if (verb, name) not in SEVERAL or not isinstance(config, DictConfig) or "_target_" in config:
        return {name: config}
    return {f"{name}.{each}": component for each, component in each_encoder(config).items()}


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
                allowed = sorted({*allowed, *groups_of(verb)})
            parent = "".join(f"{above}." for above in parts[:depth])
            raise _unknown(name, part, allowed, prefix=parent, below=_below(node, part))
        node = node._get_node(part)
        node = node if isinstance(node, DictConfig) else None


def _below(node: Any, name: str) -> list[str]:
    """Return ``block.name`` for each block that has an option of this name."""
    if not isinstance(node, DictConfig):
        return []
    blocks = {str(key): node._get_node(key) for key in node}
    return [
        f"{key}.{name}"
        for key, block in blocks.items()
        if isinstance(block, DictConfig) and name in block
    ]


def _unknown(
    what: str, word: str, allowed: list[str], *, prefix: str, below: Iterable[str] = ()
) -> ConfigError:
    guess = did_you_mean(word, allowed, prefix=prefix)
    if inside := [prefix + each for each in below]:
        guess = f" Did you mean {' or '.join(inside)}?"
    return ConfigError(f"{what} is not known.{guess} Allowed: {', '.join(allowed) or 'nothing'}.")


WORDS = {
    r"Ambiguous value for argument '(.*)'": (
        r"\1: a comma stands between the values of a sweep (--multirun); decimals have a point, as "
        "in 0.25, and lists brackets, as in [pen,blur]"
    ),
    r".* is not a ListConfig, list or tuple.*": "a list is written in brackets, as in [pen,blur]",
    r"Value '(.*)' of type '.*' could not be converted to (?:Float|Integer)": (
        r"\1 is not a number, or not a whole one where that is asked for"
    ),
}
"""What OmegaConf and Hydra say of the commonest slips, and what helps."""


def _in_words(message: str) -> str:
    for pattern, words in WORDS.items():
        if found := re.fullmatch(pattern, message):
            return found.expand(words)
    return message


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
