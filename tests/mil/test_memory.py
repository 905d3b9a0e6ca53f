from __future__ import annotations

import pytest
import torch

from histofed.errors import OutputUnwritable
from histofed.mil import memory
from histofed.mil.memory import memory_bytes, room_for


def test_small_features_stay_in_memory(tmp_path):
    room = room_for(10, 4, scratch=tmp_path / "scratch")
    assert room.shape == (10, 4)
    assert room.dtype == torch.float16
    assert not (tmp_path / "scratch").exists()


def test_large_features_lie_in_a_file_without_a_name(tmp_path):
    room = room_for(1000, 64, scratch=tmp_path / "scratch", limit_bytes=100_000)
    assert list((tmp_path / "scratch").iterdir()) == []  # nothing to sweep, however it ends
    values = torch.randn(1000, 64).half()
    room[:] = values
    part = room[100:200]
    assert torch.equal(part, values[100:200])
    assert part.data_ptr() == room.data_ptr() + 100 * 64 * 2  # a bag is a view of it


def test_a_full_disk_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(OutputUnwritable, match=r"GB are free.*work=PATH"):
        room_for(10**9, 10**6, scratch=tmp_path, limit_bytes=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("granted", "expected"), [("1000000\n", 10**6), ("max\n", None)])
def test_the_limit_of_a_batch_job_counts(tmp_path, monkeypatch, granted, expected):
    unlimited = memory_bytes()
    limit = tmp_path / "memory.max"
    limit.write_text(granted)
    monkeypatch.setattr(memory, "CGROUP_LIMIT", limit)
    there = memory_bytes()
    assert there == expected if expected else there >= unlimited
