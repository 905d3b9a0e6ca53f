from __future__ import annotations

import dataclasses
import json

import pytest

from histofed.errors import FederationError
from histofed.federation.agreement import REMEDIES, Facts, check_agreement, differences

SHARED = Facts(
    package="1.0.0",
    config_digest="c" * 64,
    encoder="crown",
    weights_digest="a" * 64,
    recipe_digest="b" * 64,
    tile_mpp=0.5,
    tile_size_px=224,
    dim=384,
    task="egfr",
    task_kind="binary",
    labels=("wild type", "mutated"),
    aggregator="GatedABMIL",
)

OTHER = {
    "package": "1.0.1",
    "config_digest": "d" * 64,
    "encoder": "uni",
    "weights_digest": "e" * 64,
    "recipe_digest": "f" * 64,
    "tile_mpp": 0.25,
    "tile_size_px": 256,
    "dim": 1024,
    "task": "kras",
    "task_kind": "survival",
    "labels": ("mutated", "wild type"),
    "aggregator": "TransMIL",
}


def three(**changes) -> dict[str, Facts]:
    """The middle one by name differs."""
    return {"a": SHARED, "b": dataclasses.replace(SHARED, **changes), "c": SHARED}


def test_every_fact_has_a_remedy():
    assert list(REMEDIES) == [each.name for each in dataclasses.fields(Facts)] == list(OTHER)


@pytest.mark.parametrize("fact", OTHER)
@pytest.mark.parametrize("expected", [None, SHARED])
def test_any_difference_is_named_with_site_fact_and_both_values(fact, expected):
    (found,) = differences(three(**{fact: OTHER[fact]}), expected=expected)
    assert (found.site, found.fact) == ("b", fact)
    assert (found.found, found.expected) == (OTHER[fact], getattr(SHARED, fact))
    with pytest.raises(FederationError, match=rf"\n  site b: {fact} is .*, expected .*; "):
        check_agreement(three(**{fact: OTHER[fact]}), expected=expected)


def test_all_differences_are_told_at_once():
    sites = {**three(dim=1024, encoder="uni"), "0": dataclasses.replace(SHARED, tile_mpp=1.0)}
    with pytest.raises(FederationError) as info:
        check_agreement(sites)
    assert str(info.value).splitlines()[1:] == [
        "  site 0: tile_mpp is 1.0, expected 0.5; tile with the same tiling.mpp",
        f"  site b: encoder is uni, expected crown; {REMEDIES['encoder']}",
        "  site b: dim is 1024, expected 384; extract with the same encoder",
    ]


def test_alike_sites_agree_whatever_the_server_does_not_know():
    check_agreement(three())
    server = dataclasses.replace(SHARED, dim=None, weights_digest=None, recipe_digest=None)
    check_agreement(three(), expected=server)
    assert differences({}, expected=server) == []


def test_what_the_server_has_counts_more_than_what_most_sites_have():
    found = differences(three(encoder="uni"), expected=dataclasses.replace(SHARED, encoder="uni"))
    assert [difference.site for difference in found] == ["a", "c"]


def test_of_two_sites_that_differ_one_is_named():
    (found,) = differences({"a": SHARED, "b": dataclasses.replace(SHARED, dim=7)})
    assert (found.site, found.expected) == ("b", 384)


def test_facts_travel_as_json_and_another_versions_facts_can_be_read():
    record = json.loads(json.dumps(SHARED.record()))
    assert Facts.of(record) == SHARED
    foreign = {**record, "package": "9.0", "colour": "blue"}
    del foreign["tile_mpp"]
    found = differences({"a": SHARED, "b": Facts.of(foreign), "c": SHARED})
    assert [(each.fact, each.found) for each in found] == [("package", "9.0"), ("tile_mpp", None)]
    assert "tile_mpp is not told, expected 0.5" in str(found[1])


def test_nonsense_is_a_difference_and_no_crash():
    nonsense = Facts.of({**SHARED.record(), "dim": {"x": [1]}, "labels": [["a"], {}]})
    found = differences({"a": SHARED, "b": nonsense, "c": SHARED})
    assert [each.fact for each in found] == ["dim", "labels"]
