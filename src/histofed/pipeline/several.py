"""Several choices of one group, as in ``encoder=[uni,virchow2]``.

Hydra lays such choices over one another, so that the last one wins. Here each gets a place of its
own below the group: ``encoder.uni.weights`` is an option of the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hydra.core.override_parser.types import Override

SEVERAL = {("extract", "encoder")}
"""Verb and group of which several may be chosen."""

FEATURES = "features=${work}/features"
"""Of several encoders each has a folder of its own in here."""


def chosen(item: Override) -> list[str] | None:
    """Return what ``group=[one,two]`` chooses; None if the option is written otherwise."""
    value = item.value()
    return [str(each) for each in value] if isinstance(value, list) else None


def check_list(verb: str, item: Override) -> None:
    """Check the number of choices in ``group=[one,two]``; the choices are checked elsewhere.

    Raises
    ------
    ConfigError
        There are none, one of them twice, or more than the verb takes.
    """
    names, group = chosen(item), item.key_or_group
    if names is None:
        return
    if (verb, group) not in SEVERAL:
        msg = f"{item.input_line}: {verb} takes one {group}, as in {group}={(names or ['NAME'])[0]}"
        raise ConfigError(msg)
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        what = f"{', '.join(twice)} is named twice" if twice else "no name is given"
        msg = f"{item.input_line}: {what}; write {group}=[ONE,OTHER]"
        raise ConfigError(msg)


def with_several(overrides: Iterable[str]) -> list[str]:
    """Return the options, each list of encoders in terms that Hydra understands."""
    overrides = list(overrides)
    parsed = OverridesParser.create().parse_overrides(overrides)
    given = {item.key_or_group for item in parsed}
    options: list[str] = []
    for item, override in zip(parsed, overrides, strict=True):
        names = chosen(item) if item.key_or_group == "encoder" else None
        if names is None:
            options.append(override)
        elif len(names) == 1:
            options.append(f"encoder={names[0]}")
        else:
            options += ["~encoder", *(f"+encoder@encoder.{name}={name}" for name in names)]
            options += [] if "features" in given else [FEATURES]
    return options
