from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from histofed.errors import ConfigError, FederationError
from histofed.federation.messages import SiteUpdate
from histofed.federation.strategies.arithmetic import (
    averaged,
    check_positive,
    check_range,
    check_weighting,
    shares,
)

SIZES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4), st.integers(1, 5000), min_size=1, max_size=6
)
WEIGHTING = st.sampled_from(["patients", "equal", "sqrt"])


@given(sizes=SIZES, weighting=WEIGHTING)
def test_shares_are_positive_and_add_up_to_one(sizes, weighting):
    updates = [SiteUpdate(site=site, round=1, state={}, n_patients=n) for site, n in sizes.items()]
    found = shares(updates, weighting)
    assert list(found) == sorted(sizes)
    assert math.isclose(math.fsum(found.values()), 1.0)
    assert min(found.values()) > 0


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Filed(Mapping):
    """A state that makes its tensor, of 8 MB, when it is asked for one."""

    most_mb = 0.0

    def __getitem__(self, name: str) -> torch.Tensor:
        Filed.most_mb = max(Filed.most_mb, resident_mb())
        return torch.ones(2**21)

    def __iter__(self):
        return iter("w")

    def __len__(self) -> int:
        return 1


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's own account")
def test_a_mean_never_holds_the_tensors_of_all_sites():
    updates = [
        SiteUpdate(site=f"s{index:02d}", round=1, state=Filed(), n_patients=1)
        for index in range(100)
    ]
    Filed.most_mb = before = resident_mb()
    new = averaged({"w": torch.zeros(2**21)}, updates, "patients")
    torch.testing.assert_close(new["w"], torch.ones(2**21))
    assert Filed.most_mb - before < 300  # all sites in float64: 1600


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="patients, equal, sqrt, got 'slides'"):
        check_weighting("slides")
    with pytest.raises(ConfigError, match=r"strategy\.x must be at least 0 and below 1, got 1"):
        check_range("x", 1, low=0, below=1)
    with pytest.raises(ConfigError, match=r"strategy\.x must be at least 2, got nan"):
        check_range("x", math.nan, low=2)
    for value in (0, -1, math.inf, math.nan):
        with pytest.raises(ConfigError, match=r"strategy\.x must be a positive number"):
            check_positive("x", value)
    with pytest.raises(FederationError, match="no update"):
        shares([], "patients")
