"""Build hook: fetch OpenSeadragon from npm and pack it into the wheel.

The review page shows slides with OpenSeadragon (BSD-3-Clause). Third-party files are not kept in
the repository; this hook installs the exact version that ``package.json`` names. A machine without
npm gets everything but the page's viewer, and is told so: a training node needs no page.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "openseadragon"
VENDOR = Path("src/histofed/review/static/vendor")
FILES = {
    f"{PACKAGE}.min.js": f"build/{PACKAGE}/{PACKAGE}.min.js",
    f"{PACKAGE}.LICENSE.txt": "LICENSE.txt",
}
NPM_TIMEOUT_S = 300


class NpmFailed(Exception):
    """npm is missing or did not deliver."""


class CustomBuildHook(BuildHookInterface[Any]):
    """Runs before a wheel is packed, standard or editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch the viewer if it is not there, and have it packed although git ignores it."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        wanted = json.loads((root / "package.json").read_text("utf-8"))["dependencies"][PACKAGE]
        vendor = root / VENDOR
        if not is_present(vendor, wanted):
            try:
                fetch(vendor, wanted)
            except NpmFailed as error:
                self.app.display_warning(
                    f"histofed: the review page will not work: {PACKAGE} {wanted} was not fetched "
                    f"({error}). Install Node.js with npm and install histofed again; "
                    "everything else works without it."
                )
                return
        build_data["artifacts"].append(f"/{VENDOR.as_posix()}/*")


def is_present(vendor: Path, version: str) -> bool:
    """Say whether exactly this version lies in ``vendor``, complete."""
    stamp = vendor / "VERSION"
    if not (stamp.is_file() and stamp.read_text("utf-8").strip() == f"{PACKAGE} {version}"):
        return False
    return all((vendor / name).is_file() for name in FILES)


def fetch(vendor: Path, version: str) -> None:
    """Install the package into a temporary folder and copy what the page needs.

    The stamp is written last, so that a half-made folder is made again.
    """
    npm = shutil.which("npm")
    if npm is None:
        msg = "npm is not on the PATH"
        raise NpmFailed(msg)
    with tempfile.TemporaryDirectory(prefix="histofed-npm-") as folder:
        quiet = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
        command = [npm, "install", *quiet, "--prefix", folder, f"{PACKAGE}@{version}"]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=NPM_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NpmFailed(str(error)) from error
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or ["no message"]
            msg = f"npm ended with {done.returncode}: {' / '.join(said[-3:])}"
            raise NpmFailed(msg)
        package = Path(folder) / "node_modules" / PACKAGE
        vendor.mkdir(parents=True, exist_ok=True)
        for name, source in FILES.items():
            shutil.copyfile(package / source, vendor / name)
    (vendor / "VERSION").write_text(f"{PACKAGE} {version}\n", "utf-8")
