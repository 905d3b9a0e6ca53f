"""Tensors that never leave a site: named by patterns, kept out of what is exchanged.

Both local normalisation (Li, Jiang, Zhang, Kamp, Dou. FedBN: federated learning on non-IID features
via local batch normalization. ICLR 2021) and heads of one's own over a shared trunk, for partners
with different tasks (Heyndrickx et al. MELLODDY: cross-pharma federated learning at unprecedented
scale. Journal of Chemical Information and Modeling 2024) are this.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Value = TypeVar("Value")


def private_names(patterns: Collection[str], names: Collection[str]) -> frozenset[str]:
    """Return the names that match a pattern.

    Parameters
    ----------
    patterns
        As of file names: ``*`` stands for anything, points included; capitals count.
    names
        Of all the tensors of a model.

    Raises
    ------
    ConfigError
        A pattern matches nothing (a slip of the pen would send what should stay), or together they
        match everything.
    """
    private = set()
    for pattern in patterns:
        found = {name for name in names if fnmatchcase(name, pattern)}
        if not found:
            msg = (
                f"private: {pattern!r} matches no tensor of the model, so nothing would be kept "
                f"back by it; its tensors are {_listed(names)}"
            )
            raise ConfigError(msg)
        private |= found
    if patterns and len(private) == len(names):
        msg = (
            f"private: {', '.join(patterns)} match every tensor of the model, so nothing is left "
            "to learn together; keep fewer back, or train alone"
        )
        raise ConfigError(msg)
    return frozenset(private)


def shared(state: Mapping[str, Value], patterns: Collection[str]) -> dict[str, Value]:
    """Return what is exchanged: everything that matches no pattern.

    Raises
    ------
    ConfigError
        As `private_names`.
    """
    private = private_names(patterns, state.keys())
    return {name: value for name, value in state.items() if name not in private}


def _listed(names: Collection[str], most: int = 12) -> str:
    some = ", ".join(list(names)[:most])
    return some if len(names) <= most else f"{some} and {len(names) - most} more"
