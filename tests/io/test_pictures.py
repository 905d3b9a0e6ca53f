"""Pictures that people give: what is no picture is refused, and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histofed.errors import ConfigError
from histofed.io.pictures import read_picture

if TYPE_CHECKING:
    from pathlib import Path


def test_a_picture_comes_as_rgb_with_the_digest_of_its_file(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for name in ("a.png", "b.png"):
        Image.fromarray(grey).save(tmp_path / name)
    picture, digest = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture, np.stack([grey] * 3, axis=-1))
    assert digest == read_picture(tmp_path / "b.png")[1]
    Image.fromarray(grey + 1).save(tmp_path / "b.png")
    assert digest != read_picture(tmp_path / "b.png")[1]


def test_a_file_that_is_not_there_is_not_called_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "no.png"
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: no such picture"):
        read_picture(path)
    path.write_bytes(b"no picture")
    with pytest.raises(ConfigError, match="not a picture that can be read"):
        read_picture(path)
