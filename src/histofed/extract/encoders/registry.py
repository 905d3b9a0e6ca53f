"""Every card there is: the modules beside this one are asked for theirs."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import histofed.extract.encoders as labs
from histofed.errors import ConfigError, did_you_mean
from histofed.extract.encoders.cards import EncoderCard


@cache
def cards() -> dict[str, EncoderCard]:
    """Return every card by name, in the order of the names."""
    found: dict[str, EncoderCard] = {}
    for module in pkgutil.iter_modules(labs.__path__):
        for value in vars(importlib.import_module(f"{labs.__name__}.{module.name}")).values():
            if isinstance(value, EncoderCard):
                assert found.setdefault(value.name, value) is value, value.name
    return dict(sorted(found.items()))


def card(name: str) -> EncoderCard:
    """Return the card of this name.

    Raises
    ------
    ConfigError
        There is none; the nearest names are given.
    """
    if name in cards():
        return cards()[name]
    guess = did_you_mean(name, cards(), n=3, cutoff=0.5)
    msg = f"encoder {name!r} is not known.{guess} `histofed encoders` lists all of them"
    raise ConfigError(msg)
