"""Shared by all tests: where the real data is, and torchvision beside a CPU torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from histofed.torchvision_compat import ensure_torchvision_imports

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
