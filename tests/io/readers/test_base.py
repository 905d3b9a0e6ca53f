"""Which files of a folder are slides."""

from __future__ import annotations

from pathlib import Path

import pytest

from histofed.errors import SlideUnreadable
from histofed.io.readers import find_slides, open_slide


def test_links_are_followed_once_and_lost_ones_are_missed_by_name(tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.svs").touch()
    (tmp_path / "slides" / "own").mkdir(parents=True)
    (tmp_path / "slides" / "own" / "near.svs").touch()
    for name, target in (
        ("linked", tmp_path / "elsewhere"),
        ("again", tmp_path / "elsewhere"),
        ("also own", "own"),
        ("round", "."),
        ("lost.svs", tmp_path / "gone.svs"),
        ("lost.dcm", tmp_path / "gone.dcm"),
    ):
        (tmp_path / "slides" / name).symlink_to(target)
    found = find_slides(tmp_path / "slides")
    assert sorted(path.name for path in found) == ["far.svs", "lost.dcm", "lost.svs", "near.svs"]
    assert tmp_path / "slides" / "own" / "near.svs" in found
    with pytest.raises(SlideUnreadable, match=r"lost\.svs: a link to .*gone\.svs, which is not"):
        open_slide(tmp_path / "slides" / "lost.svs")


def test_what_is_hidden_is_no_slide(tmp_path) -> None:
    """What a Mac leaves beside each file that it copies, and what was thrown away."""
    for name in ("a.svs", "._a.svs", ".Trash-1000/files/b.svs", "c/.snapshot/a.svs"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_slides(tmp_path) == [tmp_path / "a.svs"]


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "secret").mkdir()
    iterdir = Path.iterdir

    def refused(folder):
        if folder.name == "secret":
            raise PermissionError(13, "Permission denied")
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(SlideUnreadable, match=r"secret: cannot be looked into \(Permission denied"):
        find_slides(tmp_path)
