"""Kits: a folder for the server and one for each hospital, with certificates of one authority.

Made with NVFlare's own provisioning; what it would allow besides is then taken away: no code of a
job's own, no classes but ours, no shell commands, no logs streamed to the server.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histofed.errors import ConfigError, FederationError
from histofed.federation.transports.nvflare.processes import org_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROJECT = "histofed"
ADMIN = "coordinator@histofed.org"
"""Who submits the jobs; its kit lies inside that of the server."""
SITE_CLASS = "histofed.federation.transports.nvflare.site.Site"
SERVER_CLASS = "histofed.federation.transports.nvflare.rounds.Rounds"
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?")
RESERVED = {"server", "authority"}
HEARD_OF_S = 60
"""A hospital that has not been heard of for so long is taken for gone."""

BUILDERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("nvflare.lighter.impl.workspace.WorkspaceBuilder", {"template_file": ["master_template.yml"]}),
    (
        "nvflare.lighter.impl.static_file.StaticFileBuilder",
        {"config_folder": "config", "scheme": "grpc"},
    ),
    ("nvflare.lighter.impl.cert.CertBuilder", {}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Who takes part, and where the server is.

    Attributes
    ----------
    host, port
        Name and port by which the hospitals reach the server.
    sites
        Names of the hospitals, as in their cohort tables.
    """

    host: str
    port: int
    sites: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse what certificates or folders cannot be called.

        Raises
        ------
        ConfigError
            A name with other signs, twice, or reserved; or an impossible port.
        """
        for name in self.sites:
            if not NAME.fullmatch(name) or name in RESERVED:
                msg = (
                    f"sites: {name!r} must be small letters, digits and hyphens, and none of "
                    f"{', '.join(sorted(RESERVED))}: it is the name of a certificate and a folder"
                )
                raise ConfigError(msg)
        if not self.sites or len(set(self.sites)) < len(self.sites):
            msg = f"sites: each hospital once, and at least one, got {list(self.sites)}"
            raise ConfigError(msg)
        if not 1 <= self.port <= 65535:
            msg = f"port must be in 1..65535, got {self.port}"
            raise ConfigError(msg)


def make_kits(network: Network, out: Path) -> dict[str, Path]:
    """Write the kits; return ``server``, each site and ``authority`` -> folder.

    Raises
    ------
    ConfigError
        The folder is not empty.
    FederationError
        Provisioning failed; NVFlare's own words are in the message.
    """
    if out.exists() and any(out.iterdir()):
        msg = f"{out} is not empty; keys are never replaced, name another out=..."
        raise ConfigError(msg)
    out.mkdir(parents=True, exist_ok=True)
    out.chmod(0o700)
    made = _provision(network, out / "making")
    folders = {"server": out / "server", "authority": out / "authority"}
    (made / network.host).rename(folders["server"])
    (made / ADMIN).rename(folders["server"] / "admin")
    for site in network.sites:
        folders[site] = out / site
        (made / site).rename(folders[site])
        _restrict_site(folders[site])
    _restrict_server(folders["server"], len(network.sites))
    _remove(folders["server"] / "admin")
    (out / "making" / PROJECT / "state").rename(folders["authority"])
    shutil.rmtree(out / "making")
    for file in [*out.rglob("*.key"), *folders["authority"].iterdir()]:
        file.chmod(0o600)
    folders["authority"].chmod(0o700)
    return folders


def _provision(network: Network, folder: Path) -> Path:
    """Run NVFlare's provisioning; return the folder of its kits."""
    from nvflare.lighter.provision import prepare_builders, prepare_project
    from nvflare.lighter.provisioner import Provisioner

    server = {
        "name": network.host,
        "type": "server",
        "org": "server",
        "fed_learn_port": network.port,
        "connection_security": "mtls",
    }
    sites = [{"name": site, "type": "client", "org": org_of(site)} for site in network.sites]
    admin = {"name": ADMIN, "type": "admin", "org": "server", "role": "project_admin"}
    project: dict[str, Any] = {
        "api_version": 3,
        "name": PROJECT,
        "description": "",
        "participants": [server, *sites, admin],
        "builders": [{"path": path, "args": dict(args)} for path, args in BUILDERS],
    }
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        provisioner = Provisioner(str(folder), prepare_builders(project))
        context = provisioner.provision(prepare_project(project))
    if context.get("build_error"):
        msg = f"the kits could not be made: {said.getvalue().strip()}"
        raise FederationError(msg)
    return folder / PROJECT / "prod_00"


def _restrict_site(kit: Path) -> None:
    local = kit / "local"
    resources = _read(local / "resources.json.default")
    # Of NVFlare's parts, those that start a process; none that streams logs to the server.
    wanted = ("resource_manager", "resource_consumer", "process_launcher")
    resources["components"] = [each for each in resources["components"] if each["id"] in wanted]
    resources["allow_log_streaming"] = False
    resources["class_allow_list"] = [SITE_CLASS]
    _replace(local, "resources.json", resources)
    _replace(local, "authorization.json", _authorization(submit="any"))
    # Filters of the hospital's own would go here; no job can add or remove one.
    privacy = {"scopes": [{"name": "hospital"}], "default_scope": "hospital"}
    _replace(local, "privacy.json", privacy)
    _remove(kit)


def _restrict_server(kit: Path, n_sites: int) -> None:
    local = kit / "local"
    resources = _read(local / "resources.json.default")
    resources["class_allow_list"] = [SERVER_CLASS]
    resources["servers"][0] |= {"max_num_clients": n_sites, "heart_beat_timeout": HEARD_OF_S}
    kept = [each for each in resources["components"] if each["id"] != "log_receiver"]
    resources["components"] = kept
    _replace(local, "resources.json", resources)
    settle_server(kit)
    _replace(local, "authorization.json", _authorization(submit="any"))
    _remove(kit)


def settle_server(kit: Path) -> None:
    """Let NVFlare's server write where its kit is now: one may have copied it to a volume."""
    resources = _read(kit / "local" / "resources.json")
    storage = resources["snapshot_persistor"]["args"]["storage"]["args"]
    storage["root_dir"] = str(kit.resolve() / "snapshots")
    for component in resources["components"]:
        if component["id"] == "job_manager":
            component["args"]["uri_root"] = str(kit.resolve() / "jobs")
    _replace(kit / "local", "resources.json", resources)


def _authorization(*, submit: str) -> dict[str, Any]:
    """Return who may do what at a place: the coordinator submits, ends and looks, no more."""
    allowed = {"submit_job": submit, "manage_job": "any", "view": "any"}
    forbidden = ("clone_job", "download_job", "operate", "shell_commands", "byoc")
    coordinator = allowed | dict.fromkeys(forbidden, "none")
    return {"format_version": "1.0", "permissions": {"project_admin": coordinator}}


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _replace(local: Path, name: str, content: dict[str, Any]) -> None:
    """Write a file of a kit, without the example that would be used in its place."""
    (local / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for suffix in (".default", ".sample"):
        (local / f"{name}{suffix}").unlink(missing_ok=True)


def _remove(kit: Path) -> None:
    """Remove what starts NVFlare otherwise than we do."""
    unused = (
        "readme.txt",
        "local/privacy.json.sample",
        "startup/readme.txt",
        "startup/system_info.ipynb",
    )
    for file in [*(kit / "startup").glob("*.sh"), *(kit / name for name in unused)]:
        file.unlink(missing_ok=True)
