"""Starting and ending NVFlare's processes; run as a module, it becomes one."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from histofed.federation.transports.nvflare.watch import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAIN = {
    "server": ("nvflare.private.fed.app.server.server_train", "fed_server.json"),
    "client": ("nvflare.private.fed.app.client.client_train", "fed_client.json"),
}
END_S = 10.0
"""What an orderly end may take."""


@contextmanager
def running(kind: str, kit: Path, *, site: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run NVFlare's server or client for as long as the block lasts; its output goes to a file.

    Parameters
    ----------
    kind
        ``server`` or ``client``.
    site
        Name of the client.
    """
    command = [sys.executable, "-m", __name__, kind, str(kit), site]
    with (kit / f"{kind}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that we started, and with it those that it has started."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def org_of(site: str) -> str:
    """Return a hospital's name as NVFlare writes organisations, which have no hyphens."""
    return site.replace("-", "_")


def main(kind: str, kit: str, site: str) -> None:
    """Become NVFlare's server or client."""
    end_with_parent()
    module, config = MAIN[kind]
    options = ["secure_train=true", "config_folder=config"]
    options += [f"uid={site}", f"org={org_of(site)}"] if kind == "client" else ["org=server"]
    sys.argv = [module, "-m", kit, "-s", config, "--set", *options]
    # A signal ends it at once; what matters is on disk already.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
