"""The exception tree: one family, so that a caller can tell our refusals from a crash.

::

    HistofedError
    ├── ConfigError          a misspelt or impossible option            (also ValueError)
    ├── CohortError          a table, a patient or a label at fault     (also ValueError)
    ├── SlideError           one slide cannot be used                   (also ValueError)
    │   ├── SlideUnreadable  not a slide, truncated, vanished
    │   ├── MissingMpp       the file does not say its microns per pixel
    │   ├── NoTissue         nothing to tile
    │   ├── OffStain         not seen in white light through a stain
    │   └── StainUnclear     its stains cannot be told apart
    ├── StoreError           a feature or score file at fault           (also ValueError)
    │   └── FileDamaged      truncated or overwritten
    ├── OutputUnwritable     disk full, no permission                   (also OSError)
    ├── DownloadError        a file of a data portal cannot be had      (also ValueError)
    │   └── PortalSilent     it does not answer, or is not to be trusted
    ├── WeightsError         encoder or model weights at fault          (also ValueError)
    ├── ReviewError          the page cannot be served as asked         (also ValueError)
    └── FederationError      the exchange between sites failed
        └── UpdateRefused    one site's update was refused              (also ValueError)

Every message names the thing, the rule, the value found and the remedy; `did_you_mean` is that of a
misspelt name.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class HistofedError(Exception):
    """Anything histofed refuses; the command line prints its message without a traceback."""


class ConfigError(HistofedError, ValueError):
    """A misspelt or impossible option."""


class CohortError(HistofedError, ValueError):
    """A cohort table, a patient or a label is at fault."""


class SlideError(HistofedError, ValueError):
    """One slide cannot be used; a batch records it and goes on."""


class SlideUnreadable(SlideError):
    """The file is not a slide, is truncated, or has vanished."""


class MissingMpp(SlideError):
    """The file does not say its microns per pixel, and none was supplied."""


class NoTissue(SlideError):
    """No tile of the slide holds enough tissue."""


class OffStain(SlideError):
    """The slide was not seen in white light through a stain: fluorescence, or wrong colours."""


class StainUnclear(SlideError):
    """The stains of a slide cannot be told apart: it is grey, white, or of one stain."""


class StoreError(HistofedError, ValueError):
    """A feature or score file is missing, corrupt, or made with other settings."""


class FileDamaged(StoreError):
    """A feature or score file cannot be read: it is truncated, or not such a file at all."""


class OutputUnwritable(HistofedError, OSError):
    """A result cannot be written: the disk is full, or the folder is not ours to write."""


class DownloadError(HistofedError, ValueError):
    """A file of a data portal cannot be had; the other files go on."""


class PortalSilent(DownloadError):
    """The portal does not answer, breaks off however often it is asked, or cannot be trusted."""


class WeightsError(HistofedError, ValueError):
    """Encoder or model weights are missing, corrupt, or of another model."""


class ReviewError(HistofedError, ValueError):
    """The review page cannot be served as asked."""


class FederationError(HistofedError):
    """The exchange between the sites failed."""


class UpdateRefused(FederationError, ValueError):
    """One site's update was refused by the gate."""


def did_you_mean(
    word: str, known: Iterable[str], *, prefix: str = "", n: int = 1, cutoff: float = 0.6
) -> str:
    """Return `` Did you mean PREFIXthis?`` with the names nearest to a word; empty if none is near.

    Capitals, hyphens and points make no difference: people write H-optimus-0 and v1.5.

    Parameters
    ----------
    n, cutoff
        How many are named at most, and how near they must be, from 0 to 1 (the same).
    """
    names = {_plain(name): name for name in known}
    near = difflib.get_close_matches(_plain(word), names, n=n, cutoff=cutoff)
    return f" Did you mean {' or '.join(prefix + names[each] for each in near)}?" if near else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
