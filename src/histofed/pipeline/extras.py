"""Parts of histofed that are installed only where they are needed."""

from __future__ import annotations

from importlib.util import find_spec

from histofed.errors import ConfigError


def needs_nvflare() -> None:
    """Refuse to go on without NVFlare.

    Raises
    ------
    ConfigError
        It is not installed; how to is said.
    """
    if find_spec("nvflare") is None or find_spec("cryptography") is None:
        msg = "a federation over a network needs NVFlare; install it with "
        msg += "`pip install 'histofed[nvflare]'`"
        raise ConfigError(msg)
