"""Jobs: what is submitted to NVFlare, and how it went. A job carries two names and a digest."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from typing import TYPE_CHECKING, Any

from histofed.errors import FederationError
from histofed.federation.transports.nvflare.kits import ADMIN, SERVER_CLASS, SITE_CLASS
from histofed.federation.transports.nvflare.talk import TASKS

if TYPE_CHECKING:
    from pathlib import Path

APP = "histofed"
ASK_S = 0.2
"""How often a site asks whether there is something to do."""
START_S = 60.0
"""How long the server may take to listen."""


def write_job(folder: Path, agreement: str) -> None:
    """Write a job for all who are connected; whether they are enough is not for NVFlare to say."""
    shutil.rmtree(folder, ignore_errors=True)
    config = folder / APP / "config"
    config.mkdir(parents=True)
    arguments = {"agreement": agreement}
    meta = {
        "name": APP,
        "resource_spec": {},
        "deploy_map": {APP: ["@ALL"]},
        "min_clients": 1,
        "mandatory_clients": [],
    }
    filters: dict[str, Any] = {"task_data_filters": [], "task_result_filters": []}
    common = {"format_version": 2, "components": [], **filters}
    workflow = {"id": "rounds", "path": SERVER_CLASS, "args": arguments}
    executor = {"tasks": list(TASKS), "executor": {"path": SITE_CLASS, "args": arguments}}
    server = {**common, "workflows": [workflow], "server": {"task_request_interval": ASK_S}}
    site = {**common, "executors": [executor]}
    _write(folder / "meta.json", meta)
    _write(config / "config_fed_server.json", server)
    _write(config / "config_fed_client.json", site)


class Desk:
    """A session with the server in the name of the coordinator.

    Parameters
    ----------
    kit
        Of the coordinator.

    Raises
    ------
    FederationError
        The server does not answer, or does not know the coordinator.
    """

    def __init__(self, kit: Path) -> None:
        from nvflare.fuel.flare_api.flare_api import new_secure_session

        with _asking("the server does not answer"):
            self._session = new_secure_session(ADMIN, str(kit), timeout=START_S)

    def submit(self, job: Path) -> str:
        """Submit a job; return its id."""
        with _asking(f"{job}: the job was not taken"):
            return str(self._session.submit_job(str(job)))

    def status(self, job_id: str) -> str:
        """Return the status of a job, as NVFlare calls it."""
        with _asking(f"job {job_id}: the server does not say how it is"):
            return str(self._session.get_job_meta(job_id).get("status", ""))

    def heard_of(self) -> dict[str, float]:
        """Return when each connected site was last heard of, in seconds since 1970."""
        with _asking("the server does not say who is connected"):
            clients = self._session.get_system_info().client_info
        return {each.name: float(each.last_connect_time or 0) for each in clients}

    def close(self) -> None:
        """End the session."""
        with contextlib.suppress(Exception):
            self._session.close()


@contextlib.contextmanager
def _asking(what: str) -> Any:
    """Name what NVFlare did not do; it raises a dozen classes, and prints."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    except Exception as error:
        msg = f"{what} ({type(error).__name__}: {error}) {said.getvalue().strip()[-300:]}"
        raise FederationError(msg.strip()) from error


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
