from __future__ import annotations

import pytest

from histofed.errors import ConfigError
from histofed.federation.private import private_names, shared

NAMES = ["trunk.0.weight", "trunk.0.norm.weight", "trunk.0.norm.running_mean", "head.weight"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], set()),
        (["head.*"], {"head.weight"}),
        (["*.norm.*"], {"trunk.0.norm.weight", "trunk.0.norm.running_mean"}),
        (["head.weight", "*running*"], {"head.weight", "trunk.0.norm.running_mean"}),
    ],
)
def test_patterns_are_those_of_file_names(patterns, expected):
    assert private_names(patterns, NAMES) == expected
    assert list(shared(dict.fromkeys(NAMES, 0), patterns)) == [
        name for name in NAMES if name not in expected
    ]


@pytest.mark.parametrize("pattern", ["Head.*", "head", "heads.*", ""])
def test_a_pattern_that_matches_nothing_is_refused_by_name(pattern):
    with pytest.raises(ConfigError, match=r"'.*' matches no tensor .*trunk\.0\.weight, ") as info:
        private_names(["head.*", pattern], NAMES)
    assert repr(pattern) in str(info.value)


def test_keeping_everything_back_is_refused():
    with pytest.raises(ConfigError, match=r"head\.\*, trunk\.\* match every tensor"):
        private_names(["head.*", "trunk.*"], NAMES)


def test_a_long_model_is_not_listed_in_full():
    with pytest.raises(ConfigError, match="layer11 and 88 more"):
        private_names(["x"], [f"layer{index}" for index in range(100)])
