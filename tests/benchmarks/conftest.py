"""Benchmarks are scripts: they are loaded from their files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


def load_script(name: str) -> ModuleType:
    if str(SCRIPTS) not in sys.path:  # as for `python benchmarks/NAME.py`, which may import another
        sys.path.insert(0, str(SCRIPTS))
    specification = importlib.util.spec_from_file_location(
        f"benchmark_{name}", SCRIPTS / f"{name}.py"
    )
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module  # dataclasses ask for it
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def load() -> Callable[[str], ModuleType]:
    """Return what turns a benchmark's name into its module."""
    return load_script
