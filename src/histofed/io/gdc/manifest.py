"""Files of the GDC data portal, and its manifests: tables of what is to be downloaded.

A manifest is text, cells separated by tabs, with the columns ``id, filename, md5, size`` and
``state`` (GDC Data Transfer Tool User's Guide, "Preparing for Data Download"). Whoever wrote it is
not trusted: its names become names of files here.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.errors import CohortError
from histofed.io.tables import check_header, check_name, open_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

COLUMNS = ("id", "filename", "md5", "size")

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MD5 = re.compile(r"[0-9a-f]{32}")
SIZE = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GdcFile:
    """One file of the portal.

    Attributes
    ----------
    id
        Its UUID, in small letters.
    name
        Name of the file, without any folder.
    md5
        Of its content, in small letters.
    size
        In bytes.
    """

    id: str
    name: str
    md5: str
    size: int

    @property
    def path(self) -> str:
        """Where it is in a folder of downloads: where the portal's own tool puts it."""
        return f"{self.id}/{self.name}"


def read_manifest(path: Path) -> list[GdcFile]:
    """Read a manifest.

    Raises
    ------
    CohortError
        It is not there, is no manifest, or a row is at fault: line and value are named.
    """
    if not path.is_file():
        what = "is a folder; name the manifest in it" if path.is_dir() else "is not there"
        msg = f"manifest={path} {what}. The portal makes one: its cart, button Manifest"
        raise CohortError(msg)
    with open_text(path) as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = list(reader.fieldnames or [])
        if len(header) == 1:
            msg = f"{path}: its first line is {header[0][:80]!r}; a manifest has the columns "
            msg += f"{', '.join(COLUMNS)}, separated by tabs"
            raise CohortError(msg)
        check_header(path, header, COLUMNS)
        rows = [(_cells(row, f"{path}, line {reader.line_num}"), reader.line_num) for row in reader]
    files = [(gdc_file(cells, f"{path}, line {line}"), f"line {line}") for cells, line in rows]
    if not files:
        msg = f"{path}: it names no file; make the manifest anew, or name another"
        raise CohortError(msg)
    refuse_twins(files, str(path))
    return [file for file, _ in files]


def gdc_file(cells: Mapping[str, str], where: str) -> GdcFile:
    """Return a file from its cells, named as the columns of a manifest are.

    Raises
    ------
    CohortError
        A cell is at fault; ``where`` and the value are named.
    """
    file_id, md5, size = (cells[name].strip() for name in ("id", "md5", "size"))
    file_id, md5 = file_id.lower(), md5.lower()
    _check("id", file_id, UUID, where, rule="it must be a UUID, as in 1f1d5b0e-...")
    _check("md5", md5, MD5, where, rule="it must be 32 hexadecimal digits")
    _check("size", size, SIZE, where, rule="it must be a whole number of bytes")
    # Manifests made by the portal's interface for programs have the folder in the name.
    name = cells["filename"].strip().removeprefix(f"{cells['id'].strip()}/")
    check_name("filename", name, where)
    if not name or not name.isprintable():
        msg = f"{where}: filename {name!r} would be no name of a file; correct it"
        raise CohortError(msg)
    return GdcFile(id=file_id, name=name, md5=md5, size=int(size))


def refuse_twins(files: Iterable[tuple[GdcFile, str]], where: str) -> None:
    """Refuse files that would be written to one place.

    Raises
    ------
    CohortError
        Two of them have one id; both places are named.
    """
    earlier: dict[str, str] = {}
    for file, place in files:
        if file.id in earlier:
            msg = f"{where}: {file.id} stands at {earlier[file.id]} and again at {place} "
            msg += f"({file.name}); keep one of them"
            raise CohortError(msg)
        earlier[file.id] = place


def _check(name: str, value: str, pattern: re.Pattern[str], where: str, *, rule: str) -> None:
    if not pattern.fullmatch(value):
        msg = f"{where}: {name} is {value[:80]!r}; {rule}"
        raise CohortError(msg)


def _cells(row: Mapping[str | None, str | None], where: str) -> dict[str, str]:
    """Return the cells of a row; `csv.DictReader` files those too many and too few by None."""
    if None in row or None in row.values():
        msg = f"{where}: it has not as many cells as the header; they are separated by tabs"
        raise CohortError(msg)
    return {str(name): str(value) for name, value in row.items()}
