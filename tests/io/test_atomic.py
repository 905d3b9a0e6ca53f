from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from histofed.errors import OutputUnwritable
from histofed.io.atomic import atomic_path, atomic_text, sweep

if TYPE_CHECKING:
    from pathlib import Path


class Killed(BaseException):
    """Not an Exception, like KeyboardInterrupt."""


def write_half(path: Path, error: type[BaseException]) -> None:
    with atomic_text(path) as file:
        file.write("half")
        raise error


def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.bin"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        assert temporary.parent == path.parent  # another file system could not rename
        assert not path.exists()
        assert temporary.suffix != path.suffix  # a listing of finished files must not see it
    assert path.read_bytes() == b"half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, Killed])
def test_an_error_leaves_neither_the_file_nor_a_temporary(tmp_path: Path, error) -> None:
    with pytest.raises(error):
        write_half(tmp_path / "x.csv", error)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_survives_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        write_half(path, RuntimeError)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced_on_success(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("old")
    with atomic_text(path) as file:
        file.write("new\r\nµ")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_bytes() == "new\r\nµ".encode()


def test_content_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "x.csv"
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.exists()))
    with atomic_text(path) as file:
        file.write("new")
    assert synced[0] is False


def test_two_writers_of_one_file_do_not_share_a_temporary(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with atomic_text(path) as one, atomic_text(path) as other:
        one.write("one")
        other.write("other")
    assert path.read_text() == "one"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "free space there"), (errno.EACCES, "who may write")]
)
def test_what_cannot_be_written_is_named_with_what_helps(tmp_path, number, remedy) -> None:
    path = tmp_path / "x.csv"

    def write() -> None:
        with atomic_path(path):
            raise OSError(number, os.strerror(number))

    with pytest.raises(OutputUnwritable, match=f"x.csv cannot be written .*{remedy}"):
        write()
    assert issubclass(OutputUnwritable, OSError)
    assert list(tmp_path.iterdir()) == []


def test_only_what_nobody_writes_any_more_is_swept(tmp_path: Path) -> None:
    leftover, result = tmp_path / ".x.0123.part", tmp_path / "x.h5"
    for path in (leftover, result, tmp_path / ".hidden"):
        path.write_bytes(b"half")
        os.utime(path, (100, 100))
    with atomic_path(tmp_path / "y.h5") as being_written:
        being_written.write_bytes(b"half")
        sweep(tmp_path, before_s=being_written.stat().st_mtime - 10)
        assert being_written.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "x.h5", "y.h5"]
    sweep(tmp_path / "nowhere", before_s=0)
