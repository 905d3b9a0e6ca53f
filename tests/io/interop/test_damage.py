"""Damaged files of others: always a refusal that names the file, never a crash or a hang."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.errors import NoTissue, StoreError


def test_a_truncated_file_is_named_wherever_it_is_cut(tmp_path, trident, read):
    whole = trident(tmp_path / "S1.h5").read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "S1.h5").write_bytes(whole[:size])
        with pytest.raises(StoreError, match=r"S1\.h5"):
            read(tmp_path / "S1.h5", mpp=0.25)


def test_rows_that_were_never_written_are_not_zeros(tmp_path, trident, read):
    path = trident(tmp_path / "S1.h5")
    with h5py.File(path, "a") as file:
        del file["features"]
        file.create_dataset("features", shape=(3, 4), dtype="f4", chunks=(1, 4))
        file["features"][0] = 1
    with pytest.raises(StoreError, match="its writing was interrupted"):
        read(path, mpp=0.25, encoder="e")


def test_compressed_files_are_read(tmp_path, trident, read):
    number = np.arange(9000)
    corners = np.stack([number % 100, number // 100], axis=1) * 512
    path = trident(tmp_path / "S1.h5", coords=corners, features=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("features", data=np.zeros((9000, 16), "f4"), compression="gzip")
    assert len(read(path, mpp=0.25, encoder="e").ours().features_ND) == 9000


@pytest.mark.parametrize("name", ["features", "coords"])
@pytest.mark.parametrize("how", ["link", "lost link", "linked link", "raw", "virtual"])
def test_what_another_file_holds_is_not_read(tmp_path, name, how, trident, read):
    """The digest of the file would not cover it, and it may be any file of this machine."""
    path, other = trident(tmp_path / "S1.h5"), trident(tmp_path / "other.h5")
    with h5py.File(path, "a") as file:
        data, attributes = file[name], dict(file[name].attrs)
        shape, kind = data.shape, data.dtype
        del file[name]
        match how:
            case "link":
                file[name] = h5py.ExternalLink("other.h5", name)
            case "lost link":
                file[name] = h5py.ExternalLink("nowhere.h5", name)
            case "linked link":
                file["there"] = h5py.ExternalLink("other.h5", "/")
                file[name] = h5py.SoftLink(f"/there/{name}")
            case "raw":
                file.create_dataset(name, shape, kind, external=[(str(other), 0, 4000)])
            case "virtual":
                layout = h5py.VirtualLayout(shape, kind)
                layout[:] = h5py.VirtualSource(str(other), name, shape=shape)
                file.create_virtual_dataset(name, layout)
        if how in ("raw", "virtual"):
            file[name].attrs.update(attributes)
    with pytest.raises(StoreError, match=rf"S1\.h5: {name} is in another file"):
        read(path, "trident", mpp=0.25, encoder="e")


def test_two_tiles_at_one_place_are_refused(tmp_path, trident, read):
    """As a writer leaves it that appends when it is started again."""
    twice = np.array([[0, 512], [1024, 512], [0, 512]])
    with pytest.raises(StoreError, match=r"2 tiles start at \[0\.0, 512\.0\].*3 tiles have 2"):
        read(trident(tmp_path / "S1.h5", coords=twice), mpp=0.25)


def test_text_that_is_no_text_is_named(tmp_path, trident, read):
    path = trident(tmp_path / "S1.h5")
    with h5py.File(path, "a") as file:
        file["features"].attrs["encoder"] = b"\xff\xfe"
    with pytest.raises(StoreError, match=r"S1\.h5: attribute encoder is .* no UTF-8 text"):
        read(path, mpp=0.25)


def test_damaged_text_never_reaches_the_library(tmp_path, trident, read):
    # A text of size 149 where 2 were written: the library would look for its end for ever.
    path = trident(tmp_path / "S1.h5")
    data = bytearray(path.read_bytes())
    data[data.index(b"GCOL") + 16 + 8] = 149
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"S1\.h5: damaged \(the text in it"):
        read(path, "trident", mpp=0.25)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_bytes=st.integers(1, 8))
def test_any_damage_is_a_refusal_or_harmless(tmp_path_factory, seed, n_bytes, trident, read):
    path = tmp_path_factory.getbasetemp() / "damaged" / "S1.h5"
    data = bytearray(trident(path).read_bytes())
    generator = np.random.default_rng(seed)
    for at in generator.integers(0, len(data), n_bytes):
        data[at] = generator.integers(256)
    path.write_bytes(data)
    refusal = "S1"
    try:
        read(path, "trident", mpp=0.25).ours()
    except (StoreError, NoTissue) as error:
        refusal = str(error)
    assert "S1" in refusal
