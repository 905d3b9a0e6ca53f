"""The wheel and an editable install hold the page's third-party script."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPO = Path(__file__).parents[2]
VENDOR = Path("src/histofed/review/static/vendor")
PARTS = [
    "pyproject.toml",
    "hatch_build.py",
    "package.json",
    ".gitignore",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "configs",
    "src",
]
BUILD = "import sys, hatchling.build as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project as it is after cloning: without third-party files."""
    pytest.importorskip("hatchling")
    folder = tmp_path / "project"
    folder.mkdir()
    for part in PARTS:
        if (REPO / part).is_dir():
            ignored = shutil.ignore_patterns("vendor", "__pycache__")
            shutil.copytree(REPO / part, folder / part, ignore=ignored)
        else:
            shutil.copy(REPO / part, folder / part)
    return folder


def build(project: Path, kind: str, **environment: str) -> tuple[Path, str]:
    out = project.parent / "dist"
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(out)],
        cwd=project,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl")), done.stdout + done.stderr


def need_npm() -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")


def test_a_wheel_holds_the_page_and_the_viewer(project: Path) -> None:
    need_npm()
    wheel, _ = build(project, "build_wheel")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        script = archive.read("histofed/review/static/vendor/openseadragon.min.js")
        stamp = archive.read("histofed/review/static/vendor/VERSION").decode()
    assert b"openseadragon 6.1.1" in script[:200]
    assert stamp == "openseadragon 6.1.1\n"
    assert "histofed/review/static/vendor/openseadragon.LICENSE.txt" in names
    assert "histofed/review/static/index.html" in names
    assert any(name.startswith("histofed/configs/") for name in names)
    assert len(names) == len(set(names))


def test_an_editable_install_has_the_viewer_and_fetches_it_once(project: Path) -> None:
    need_npm()
    pytest.importorskip("editables")  # what hatchling asks of a build environment
    build(project, "build_editable")
    script = project / VENDOR / "openseadragon.min.js"
    fetched = script.stat().st_mtime_ns
    build(project, "build_editable", PATH="")
    assert script.stat().st_mtime_ns == fetched


def test_without_npm_the_rest_is_installed_and_the_page_named(project: Path) -> None:
    wheel, said = build(project, "build_wheel", PATH="")
    assert "Install Node.js with npm" in said
    with zipfile.ZipFile(wheel) as archive:
        assert "histofed/review/app.py" in archive.namelist()
        assert not any("vendor" in name for name in archive.namelist())
