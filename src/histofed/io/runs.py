"""Run folders: where the results of one run are, and how they were made.

::

    runs/<name>/
      run.json               how it was made (command, versions, commit, seed, inputs)
      config.yaml            every option as it was used
      splits.csv             patient_id, fold, role
      fingerprints.h5        what each slide is known by, to compare a new cohort with
      <arm>/predictions.csv  out-of-fold predictions; arm = federated, pooled, local-<site>, ...
  <arm>/selection.csv    those of the patients that picked the checkpoints: thresholds are set on
                         them
      <arm>/fold-<k>/        model.safetensors, curves.csv or rounds.csv
      metrics.json           every number of the report
      scores/<slide_id>.h5   raw scores per tile
      heatmaps/  figures/    pictures
      reviews.sqlite         verdicts of pathologists; a new run here keeps them
      report.html
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import histofed
from histofed.errors import StoreError
from histofed.io.atomic import atomic_text, file_digest

RECORDED_PACKAGES = (
    "numpy", "h5py", "openslide-python", "openslide-bin", "torch", "timm", "pytorch-lightning",
    "hydra-core", "scikit-learn",
)  # fmt: skip


ARMS = ("federated", "federated-fused", "pooled", "fused", "clinical", "baseline")
LOCAL = "local-"
"""Names of arms: ways of training that are compared; one ``local-<site>`` per hospital.

Fused ones take clinical covariates beside the image, ``clinical`` takes them alone.
"""


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run; making one touches no disk."""

    path: Path

    @property
    def splits(self) -> Path:
        """Who is in which fold."""
        return self.path / "splits.csv"

    @property
    def metrics(self) -> Path:
        """Every number of the report."""
        return self.path / "metrics.json"

    @property
    def summary(self) -> Path:
        """The headline numbers."""
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    @property
    def figures(self) -> Path:
        """Folder of the figures."""
        return self.path / "figures"

    @property
    def heatmaps(self) -> Path:
        """Folder of the heatmap pictures."""
        return self.path / "heatmaps"

    @property
    def scores(self) -> Path:
        """Folder of the score files."""
        return self.path / "scores"

    def predictions(self, arm: str) -> Path:
        """Out-of-fold predictions of one arm."""
        return self.path / arm / "predictions.csv"

    def selection(self, arm: str) -> Path:
        """Predictions of one arm for the patients that its checkpoints were picked on."""
        return self.path / arm / "selection.csv"

    @property
    def fingerprints(self) -> Path:
        """What each slide is known by."""
        return self.path / "fingerprints.h5"

    def fold(self, arm: str, fold: int) -> Path:
        """Folder of one fold of one arm."""
        return self.path / arm / f"fold-{fold}"

    def model_digests(self, arm: str) -> set[str]:
        """Return the digests of an arm's models, one a fold; empty for an arm without any."""
        return {file_digest(file) for file in (self.path / arm).glob("fold-*/model.safetensors")}

    def arms(self) -> list[str]:
        """Return the arms that have predictions, sorted."""
        names = sorted(file.parent.name for file in self.path.glob("*/predictions.csv"))
        return [name for name in names if name in ARMS or name.startswith(LOCAL)]

    def results(self) -> list[Path]:
        """Return every result of a run that is there: what a new run would replace."""
        files = (
            self.metrics,
            self.summary,
            self.report,
            self.splits,
            self.fingerprints,
            self.path / "run.json",
        )
        folders = (self.figures, self.heatmaps, self.scores)
        arms = [self.path / name for name in ARMS] + sorted(self.path.glob(f"{LOCAL}*"))
        return [path for path in (*arms, *folders, *files) if path.exists()]

    def clear(self) -> None:
        """Remove every result of an earlier run."""
        for path in self.results():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def start(self, config: dict[str, Any], *, config_yaml: str, inputs: dict[str, Any]) -> None:
        """Write ``run.json`` and ``config.yaml``.

        Parameters
        ----------
        config
            The resolved options; kept in ``run.json`` so that later verbs need nothing else.
        inputs
            What the run was made from, to notice later that it has changed.

        Raises
        ------
        StoreError
            Another process has started a run here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            # Of two processes that start at once, one wins.
            (self.path / "run.json").touch(exist_ok=False)
        except FileExistsError:
            msg = f"{self.path}: another process has just started a run here; name another run=..."
            raise StoreError(msg) from None
        write_json(
            self.path / "run.json",
            {
                "format": "histofed/run",
                "format_version": 1,
                "software": f"histofed {histofed.__version__}",
                "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "commit": _commit(),
                "python": platform.python_version(),
                "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
                "packages": {name: _version(name) for name in RECORDED_PACKAGES},
                "config": config,
                "inputs": inputs,
            },
        )
        with atomic_text(self.path / "config.yaml") as file:
            file.write(config_yaml)

    def read(self) -> dict[str, Any]:
        """Read ``run.json``.

        Raises
        ------
        StoreError
            The folder is not a run.
        """
        file = self.path / "run.json"
        if not file.is_file():
            msg = f"{self.path} is not a run folder (no run.json); name one with run=PATH"
            raise StoreError(msg)
        content = read_json(file)
        known = content.get("format") == "histofed/run" and content.get("format_version") == 1
        if not known or not {"config", "inputs", "command", "packages"} <= content.keys():
            msg = f"{file}: not the record of a run of this histofed; train again"
            raise StoreError(msg)
        return content


def write_json(path: Path, content: object) -> None:
    """Write JSON that appears whole or not at all."""
    with atomic_text(path) as file:
        json.dump(content, file, indent=2, allow_nan=False)
        file.write("\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read as JSON ({error})"
        raise StoreError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path}: expected a JSON object"
        raise StoreError(msg)
    return content


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of this checkout, where histofed runs from one."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    done = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None
