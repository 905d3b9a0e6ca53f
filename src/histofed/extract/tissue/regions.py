"""A region that a person drew, one file per slide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histofed.errors import ConfigError, SlideError
from histofed.extract.tissue.base import MaskRules
from histofed.io.atomic import file_digest
from histofed.io.regions import find_region, region_mask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRegions(MaskRules):
    """Regions from a folder: ``<slide_id>.geojson`` (QuPath) or ``<slide_id>.png`` (a mask).

    What was drawn is taken as it is: by default no speck is dropped and no hole filled.

    Attributes
    ----------
    folder
        Where the files are. Their content, not their place, is part of a file's identity.
    classes
        QuPath classifications to take; empty takes every polygon.
    """

    folder: str
    classes: tuple[str, ...] = ()
    min_area_um2: float = 0.0
    max_hole_um2: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a folder that is not there."""
        MaskRules.__post_init__(self)
        object.__setattr__(self, "classes", tuple(self.classes))
        if not Path(self.folder).is_dir():
            msg = f"tissue.folder={self.folder} is not a folder; name that of the region files"
            raise ConfigError(msg)

    @property
    def record(self) -> dict[str, Any]:
        """Method and parameters; which region it was is in each file's ``source_digest``."""
        found = self.parameters()
        del found["folder"]
        return {"method": "user_regions", **found, "classes": list(self.classes)}

    def source_digest(self, slide_id: str) -> str:
        """Return the digest of the slide's region file."""
        return file_digest(find_region(Path(self.folder), slide_id))

    def mask(
        self, thumbnail_HW3: NDArray[np.uint8], *, slide_id: str, info: SlideInfo
    ) -> NDArray[np.bool_]:
        """Return what was drawn; see `TissueMethod.mask`."""
        path = find_region(Path(self.folder), slide_id)
        shape = (thumbnail_HW3.shape[0], thumbnail_HW3.shape[1])
        drawn = region_mask(path, shape, mpp=self.mpp, info=info, classes=self.classes)
        if not drawn.any():
            msg = f"slide {slide_id}: {path} covers none of the slide; draw the region again"
            raise SlideError(msg)
        return self.cleaned(drawn)
