"""Manifests: read as the portal writes them, and not trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.errors import CohortError
from histofed.io.gdc import GdcFile, read_manifest
from histofed.io.gdc.manifest import gdc_file

ID = "002aa5c3-d956-4502-ba04-98fb56084b9f"
MD5 = "f68da126a9a7c8a61545f27403aac626"
HEADER = "id\tfilename\tmd5\tsize\tstate\n"
ROW = f"{ID}\ta.svs\t{MD5}\t12\treleased\n"


def manifest(tmp_path, text):
    path = tmp_path / "manifest.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_real_one_is_read_whole(test_data):
    files = read_manifest(test_data / "clinical" / "gdc_manifest_mmrf.txt")
    assert len({file.id for file in files}) == len(files) == 859
    assert sum(file.size for file in files) == 210_917_289
    assert files[0] == GdcFile(
        id=ID, name="91b37a5b-6f87-493a-b80a-40e708f64f9b.htseq_counts.txt.gz", md5=MD5, size=242959
    )
    assert all(file.name.endswith(".htseq_counts.txt.gz") for file in files)


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROW,
        "\ufeff" + (HEADER + ROW).replace("\n", "\r\n"),
        HEADER + ROW.replace("a.svs", f"{ID}/a.svs"),
        HEADER + ROW.replace(ID, ID.upper()).replace(MD5, MD5.upper()),
        f"md5\tsize\tfilename\tid\n{MD5}\t12\ta.svs\t{ID}\n",
    ],
    ids=["portal", "windows", "folder in name", "capitals", "other order, no state"],
)
def test_every_way_to_write_one(tmp_path, text):
    assert read_manifest(manifest(tmp_path, text)) == [
        GdcFile(id=ID, name="a.svs", md5=MD5, size=12)
    ]


def test_quotes_are_letters(tmp_path):
    """Else one of them would swallow the rows that follow."""
    text = HEADER + ROW.replace("a.svs", '"a.svs') + ROW.replace("002aa5c3", "112aa5c3")
    assert [file.name for file in read_manifest(manifest(tmp_path, text))] == ['"a.svs', "a.svs"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ROW.replace("a.svs", "../a.svs"), ["line 3", "'../a.svs'", "slash"]),
        (ROW.replace("a.svs", "/etc/passwd"), ["'/etc/passwd'", "slash"]),
        (ROW.replace("a.svs", "..\\a.svs"), ["slash"]),
        (ROW.replace("a.svs", f"{ID}/../a.svs"), ["'../a.svs'"]),
        (ROW.replace("a.svs", f"{ID[::-1]}/a.svs"), ["slash"]),
        (ROW.replace("a.svs", ".."), ["dot"]),
        (ROW.replace("a.svs", ".bashrc"), ["dot"]),
        (ROW.replace("a.svs", ""), ["filename ''"]),
        (ROW.replace("a.svs", "a\x1b[31m.svs"), [r"\x1b"]),
        (ROW.replace("a.svs", "a" * 200), ["120 bytes"]),
        (ROW.replace(ID, "../../x"), ["id is '../../x'", "UUID"]),
        (ROW.replace(MD5, "0" * 31), ["md5 is", "32 hexadecimal"]),
        (ROW.replace("\t12", "\t-1"), ["size is '-1'", "whole number"]),
        (ROW.replace("\t12", "\t1e9"), ["size is '1e9'"]),
        (ROW.replace("\t12", "\t٣"), ["size is"]),
        (ROW.replace("\t12", "\t" + "9" * 5000), ["size is"]),
        (f"{ID}\ta.svs\t{MD5}\n", ["line 3", "cells"]),
        (ROW.replace("\n", "\tmore\n"), ["line 3", "cells"]),
        (ROW + ROW.replace("a.svs", "b.svs"), ["line 3", "line 4", "b.svs"]),
        (ROW + ROW.replace(ID, ID.upper()), ["line 3", "line 4"]),
    ],
)
def test_a_row_at_fault_is_named(tmp_path, row, words):
    other = ROW.replace("002aa5c3", "112aa5c3")
    with pytest.raises(CohortError) as caught:
        read_manifest(manifest(tmp_path, HEADER + other + row))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER, ["names no file"]),
        ("", ["without columns id, filename, md5, size"]),
        ((HEADER + ROW).replace("\t", ","), ["separated by tabs", "id,filename"]),
        ("id\tname\tmd5\tsize\n", ["without column filename", "id, name"]),
        (ROW, ["without columns"]),
    ],
)
def test_what_is_no_manifest(tmp_path, text, words):
    with pytest.raises(CohortError) as caught:
        read_manifest(manifest(tmp_path, text))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("name", "words"), [("", "is a folder"), ("nothing.txt", "is not there")])
def test_no_file_at_all(tmp_path, name, words):
    with pytest.raises(CohortError, match=words):
        read_manifest(tmp_path / name)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "manifest.txt"
    path.write_bytes(HEADER.encode() + b"\xff\xfe\n")
    with pytest.raises(CohortError, match="not UTF-8"):
        read_manifest(path)


@given(
    st.one_of(
        st.text(max_size=150),
        st.lists(st.sampled_from(["..", ".", "/", "\\", "a", ID, "\0", " "])).map("".join),
    )
)
def test_no_name_leads_out_of_its_folder(name):
    try:
        file = gdc_file({"id": ID, "filename": name, "md5": MD5, "size": "1"}, "here")
    except CohortError:
        return
    folder, _, rest = file.path.partition("/")
    assert folder == ID
    assert rest == file.name
    assert rest
    assert not {"/", "\\", "\0"} & set(rest)
    assert rest not in (".", "..")
