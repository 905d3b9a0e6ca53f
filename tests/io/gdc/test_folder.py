"""What is there of a file, and the table that says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from histofed.errors import CohortError
from histofed.io.gdc import GdcFile, Row, State, look, read_table, write_table
from histofed.io.gdc.fetch import part_path

FILE = GdcFile(id="0" * 8 + "-0000-0000-0000-" + "0" * 12, name="a.svs", md5="0" * 32, size=4)


def row(**other):
    cells = {"id": FILE.id, "filename": FILE.name, "path": FILE.path, "status": "done"}
    return Row(**cells, size=FILE.size, md5=FILE.md5, **other)


@pytest.fixture
def there(tmp_path):
    path = tmp_path / FILE.path
    path.parent.mkdir()
    path.write_bytes(b"abcd")
    return path


def test_nothing_or_a_part(tmp_path):
    assert look(FILE, tmp_path, {}) is State.MISSING
    assert look(FILE, tmp_path, {FILE.id: row(modified_ns=1)}) is State.MISSING
    part = part_path(FILE, tmp_path)
    part.parent.mkdir()
    part.touch()
    assert look(FILE, tmp_path, {}) is State.BEGUN
    assert look(replace(FILE, md5="1" * 32), tmp_path, {}) is State.MISSING


def test_a_file_is_believed_while_its_table_knows_it(tmp_path, there):
    known = {FILE.id: row(modified_ns=there.stat().st_mtime_ns)}
    assert look(FILE, tmp_path, known) is State.KEPT
    assert look(FILE, tmp_path, known, verify=True) is State.UNREAD
    assert look(FILE, tmp_path, {}) is State.UNREAD
    assert look(replace(FILE, md5="1" * 32), tmp_path, known) is State.UNREAD
    there.touch()
    assert look(FILE, tmp_path, {FILE.id: row(modified_ns=1)}) is State.UNREAD


def test_what_is_another_file(tmp_path, there):
    assert look(replace(FILE, size=5), tmp_path, {}) is State.OTHER
    there.unlink()
    there.mkdir()
    assert look(FILE, tmp_path, {}) is State.OTHER


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / FILE.id).touch()
    assert look(FILE, tmp_path, {}) is State.MISSING


def test_the_table_comes_back(tmp_path):
    rows = [
        row(modified_ns=1_700_000_000_123_456_789, seconds=1.25),
        replace(row(reason='DownloadError: "no", 404\nmore'), id="x", status="failed"),
    ]
    path = tmp_path / "download.csv"
    assert read_table(path) == {}
    write_table(path, rows)
    assert list(read_table(path).values()) == rows


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("size", "bytes", "column size"), (",4,", ",four,", "line 2"), (",4,", ",4,4,", "line 2")],
)
def test_a_table_at_fault_is_named(tmp_path, old, new, words):
    path = tmp_path / "download.csv"
    write_table(path, [row()])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CohortError, match=words):
        read_table(path)
