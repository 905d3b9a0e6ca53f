"""Shared by all tests: where the real data is, and torchvision beside a CPU torch."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import pytest
from hypothesis import settings

from histofed.torchvision_compat import ensure_torchvision_imports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ensure_torchvision_imports()

# How long an example takes says more of the machine than of the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real slides and tables; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("HISTOFED_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set HISTOFED_TEST_DATA")
    return folder


class Started(NamedTuple):
    """A process of a test, and what it prints."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def wait_for(self, words: str, *, timeout_s: float) -> None:
        """Wait until the words are printed."""
        until = time.monotonic() + timeout_s
        while words not in self.said():
            assert self.process.poll() is None, f"ended without {words!r}:\n{self.said()}"
            assert time.monotonic() < until, f"no {words!r} in {timeout_s} s:\n{self.said()}"
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill the process and all that it has started, by their numbers."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(30)

    def family(self) -> list[psutil.Process]:
        """Return the process and all that it has started, and they."""
        try:
            mother = psutil.Process(self.process.pid)
            return [mother, *mother.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Return what starts processes; those that are left in the end are killed, one by one."""
    started: list[Started] = []

    def begin(name: str, *command: object, **environment: str) -> Started:
        log = tmp_path / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *map(str, command)], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300", **environment},
            )  # fmt: skip
        started.append(Started(process, log))
        return started[-1]

    yield begin
    for each in started:
        each.kill()


@pytest.fixture
def gdc_portal() -> Iterator[Any]:
    """A data portal on this machine, in a thread; `tests/gdc_portal.py` says how it misbehaves."""
    specification = importlib.util.spec_from_file_location(
        "gdc_portal", Path(__file__).with_name("gdc_portal.py")
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    with module.running() as portal:
        yield portal
