"""HDF5 underneath the stores: the same bytes each time, and a full disk that is survived."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import histofed
from histofed.errors import FileDamaged, StoreError
from histofed.io.h5 import atomic_h5, open_h5, write_format

SOURCE = Path(histofed.__file__).resolve().parents[1]


def write(path: Path, n_rows: int = 3000) -> bytes:
    with atomic_h5(path) as file:
        write_format(file, "features")
        values = np.random.default_rng(0).normal(size=(n_rows, 16)).astype(np.float16)
        file.create_dataset("features", data=values, chunks=(256, 16), fletcher32=True)
    return path.read_bytes()


def test_the_same_content_gives_the_same_bytes_whatever_the_name(tmp_path: Path) -> None:
    first = write(tmp_path / "a.h5")
    assert write(tmp_path / "in" / "b.h5") == first
    assert list((tmp_path / "in").iterdir()) == [tmp_path / "in" / "b.h5"]


def test_an_error_in_the_block_writes_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with atomic_h5(tmp_path / "a.h5") as file:
            write_format(file, "features")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_system_does_not_give_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch
) -> None:
    """What is damaged may be made again in its place; a network that fails for a moment may not."""
    write(tmp_path / "a.h5")
    with monkeypatch.context() as patched:
        patched.setattr(h5py, "File", lambda *_, **__: raise_os_error(errno.EIO))
        with pytest.raises(StoreError, match=r"a\.h5: cannot be read \(Input/output error\)") as e:
            read(tmp_path / "a.h5")
        assert not isinstance(e.value, FileDamaged)
    (tmp_path / "a.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:-1])
    with pytest.raises(FileDamaged, match=r"a\.h5: damaged or not a features file"):
        read(tmp_path / "a.h5")


def raise_os_error(number: int) -> None:
    raise OSError(number, "synchronously opened")


def read(path: Path) -> None:
    with open_h5(path, "features"):
        pass


def test_a_disk_that_fills_up_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    """Left to the HDF5 library, the process would end with a segmentation fault."""
    code = f"""
import resource, sys
sys.path[:0] = {[str(Path(__file__).parent), str(SOURCE)]!r}
from pathlib import Path
from test_h5 import write
from histofed.errors import OutputUnwritable
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    write(Path(sys.argv[1]) / "a.h5")
except OutputUnwritable as error:
    print(error)
write(Path(sys.argv[1]) / "small.h5", n_rows=300)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "a.h5 cannot be written (File too large); free space there" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["small.h5"]
