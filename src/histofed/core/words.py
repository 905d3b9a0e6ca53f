"""Numbers of things in words, for messages and captions."""

from __future__ import annotations


def counted(number: int, thing: str, things: str = "") -> str:
    """Return ``1 slide``, ``2 slides`` or ``1,200 slides``.

    Parameters
    ----------
    things
        The plural, where it is not the singular and an s.
    """
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
