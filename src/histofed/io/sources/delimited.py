"""Tables of text: cells between commas or tabs, packed (``.gz``) or not."""

from __future__ import annotations

import csv
import gzip
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from histofed.errors import CohortError
from histofed.io.sources.table import Table, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Literal, TextIO

    from histofed.io.sources.table import Part


def read_delimited(path: Path, separator: str, part: Part) -> Table:
    """Read a table of text. Lines above the header that begin with ``#`` are counted and skipped.

    Cells between tabs are taken as they are, quotes included: that is how the tables of cBioPortal
    and the GDC are written.

    Raises
    ------
    CohortError
        It cannot be unpacked, is not UTF-8 text, has no header, or a row is malformed.
    """
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE
    with _opened(path) as file:
        rows = csv.reader(file, delimiter=separator, quoting=quoting)
        n_comments = 0
        for header in rows:
            if not header or not header[0].startswith("#"):
                break
            n_comments += 1
        else:
            msg = f"{path}: there is no header"
            raise CohortError(msg)
        if len(header) == 1 and any(mark in header[0] for mark in ",;\t"):
            said = "commas" if separator == "," else "tabs"
            msg = f"{path}: the header is one cell ({header[0][:60]!r}); cells are separated by "
            msg += f"{said} in a file of this name (.csv commas; .tsv, .txt, .maf tabs)"
            raise CohortError(msg)
        lines = ((rows.line_num, cells) for cells in rows)
        return table_of(path, header, lines, n_comments=n_comments, part=part)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    opened: Callable[..., TextIO] = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", newline="", encoding="utf-8-sig") as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        msg = f"{path}: cannot be unpacked ({error}); fetch it again"
        raise CohortError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 text ({error}); save it as UTF-8"
        raise CohortError(msg) from error
    except csv.Error as error:
        msg = f"{path}: cannot be read ({error}); look for a quote that is not closed"
        raise CohortError(msg) from error
