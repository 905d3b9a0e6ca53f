"""Pictures that people give: PNG, JPEG or TIFF of a size that fits in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histofed.errors import ConfigError
from histofed.io.atomic import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_picture(path: Path) -> tuple[NDArray[np.uint8], str]:
    """Return a picture as RGB ``(H, W, 3)``, and the sha256 of its file.

    Raises
    ------
    ConfigError
        It is not there, or no picture.
    """
    try:
        with Image.open(path) as picture:
            return np.array(picture.convert("RGB")), file_digest(path)
    except FileNotFoundError as error:
        msg = f"{path}: no such picture; correct the path"
        raise ConfigError(msg) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        msg = f"{path}: not a picture that can be read ({error}); save a part of a slide, as PNG, "
        msg += "of at most 8000 pixels a side"
        raise ConfigError(msg) from error
