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


def sized(n_bytes: int) -> str:
    """Return ``999 B``, ``1.5 MB`` or ``3.42 TB``: three digits, units of 1,000 as disks have them.

    Parameters
    ----------
    n_bytes
        At least 0.
    """
    if n_bytes < 1000:
        return f"{n_bytes} B"
    value = float(n_bytes)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        # 999.5 would be written as 1e+03.
        if value < 999.5:
            return f"{value:.3g} {unit}"
    return f"{value / 1000:,.2f} TB"
