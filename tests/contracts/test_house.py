"""The rules of the house: floors, light imports, and nothing private in the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def python(code: str) -> subprocess.CompletedProcess[str]:
    paths = [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


def tracked_files() -> list[Path]:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a checkout")
    done = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "-z"], capture_output=True, text=True, check=True
    )
    return [REPOSITORY / name for name in done.stdout.split("\0") if name]


def readable(path: Path) -> str:
    """Return the text of a tracked file; nothing for a picture, or one deleted just now."""
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return ""


def test_import_contracts_hold():
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    "module",
    ["histofed.review.app", "histofed.report.html", "histofed.io.store", "histofed.core.metrics"],
)
def test_works_without_torch(module):
    done = python(f"import {module}, sys; print(sorted({{'torch', 'timm'}} & set(sys.modules)))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_command_starts_light():
    heavy = "{'torch', 'hydra', 'omegaconf', 'matplotlib', 'pytorch_lightning', 'h5py', 'scipy'}"
    done = python(f"import histofed.cli, sys; print(sorted({heavy} & set(sys.modules)))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_nothing_private_is_committed():
    # Put together here, so that this file does not find itself.
    private = re.compile(
        "|".join(
            [
                r"(?<![\w.}>)\"'-])/" + r"work/\w",
                "/tmp/" + r"w\b",
                "files." + "pythonhosted",
                "registry." + "npmjs",
            ]
        )
    )
    found = [
        f"{path.relative_to(REPOSITORY)}: {match.group()}"
        for path in tracked_files()
        if (match := private.search(readable(path)))
    ]
    assert not found


@pytest.mark.parametrize("name", ["constraints.txt", "package.json", "package-lock.json"])
def test_pins_name_no_download_address(name):
    assert not re.search(r"https?://", readable(REPOSITORY / name))


def test_every_verb_has_a_script_config_schema_and_module():
    from histofed.cli import VERBS
    from histofed.pipeline.config import config_dir
    from histofed.pipeline.schema import SCHEMAS

    assert set(VERBS) == set(SCHEMAS) == {path.stem for path in config_dir().glob("[!_]*.yaml")}
    assert set(VERBS) == {path.stem for path in (REPOSITORY / "scripts").glob("*.py")}
    for verb in VERBS:
        assert (REPOSITORY / "src" / "histofed" / "pipeline" / f"{verb}.py").is_file()
