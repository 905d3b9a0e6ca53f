from __future__ import annotations

import dataclasses

import pytest
import torch

from histofed.errors import ConfigError, FederationError, UpdateRefused
from histofed.federation.gate import admit, check_update
from histofed.federation.limits import Limits
from histofed.federation.messages import Round

EXPECTED = {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "count": torch.tensor(0)}
ROUND = Round(number=1, total=2, state=EXPECTED, run="trial")


def sound_state() -> dict[str, torch.Tensor]:
    return {"weight": torch.ones(2, 3), "bias": torch.ones(2), "count": torch.tensor(4)}


def refuse(update, match: str, **options) -> None:
    with pytest.raises(UpdateRefused, match=f"site north, round 1: update refused: .*{match}"):
        check_update(update, ROUND, site="north", **options)


def test_a_sound_update_passes(toy):
    check_update(toy.update(ROUND, state=sound_state(), auc=0.7), ROUND, site="north")


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("bias", torch.tensor([1.0, float("nan")]), r"'bias' must be finite, found nan \(1 of 2"),
        ("weight", torch.full((2, 3), -torch.inf), r"'weight' must be finite, found -inf \(6 of 6"),
        ("weight", torch.ones(1), r"'weight' must have the shape \(2, 3\), found \(1,\)"),
        ("weight", torch.ones(3, 2), r"'weight' must have the shape \(2, 3\), found \(3, 2\)"),
        ("bias", torch.ones(2).double(), "'bias' must be torch.float32, found torch.float64"),
        ("count", torch.tensor(4.0), "'count' must be torch.int64, found torch.float32"),
        ("extra", torch.ones(1), r"'extra' is unknown \(1 unknown"),
        ("bias", [1.0, 1.0], "'bias' must be a dense tensor, found a list"),
        ("bias", torch.ones(2).to_sparse(), "'bias' must be a dense tensor, found a tensor of"),
        ("bias", torch.ones(2, device="meta"), "'bias' must be a dense tensor"),
    ],
)
def test_a_bad_tensor_is_refused_by_name(toy, name, value, match):
    refuse(toy.update(ROUND, state={**sound_state(), name: value}), match)


def test_a_missing_tensor_is_refused_by_name(toy):
    state = sound_state()
    del state["bias"]
    refuse(toy.update(ROUND, state=state), r"'bias' is missing \(1 missing")


@pytest.mark.parametrize("n", [0, -79, 10**12, True, 12.0, float("nan")])
def test_an_absurd_number_of_patients_is_refused(toy, n):
    refuse(toy.update(ROUND, state=sound_state(), n=n), "n_patients must be .*, found")


def test_the_largest_number_of_patients_is_inclusive(toy):
    update = toy.update(ROUND, state=sound_state(), n=50)
    check_update(update, ROUND, site="north", limits=Limits(max_patients=50))
    refuse(update, r"n_patients must be in 1\.\.49, found 50", limits=Limits(max_patients=49))


@pytest.mark.parametrize("number", [0, 2])
def test_another_round_is_refused(toy, number):
    earlier = dataclasses.replace(ROUND, number=number)
    refuse(toy.update(earlier, state=sound_state()), f"it answers round {number}")


def test_an_answer_to_another_run_is_refused(toy):
    other = dataclasses.replace(ROUND, run="pilot")
    refuse(toy.update(other, state=sound_state()), "it answers run 'pilot', this one is 'trial'")


def test_an_answer_to_another_global_model_is_refused(toy):
    other = dataclasses.replace(ROUND, state=sound_state())
    refuse(toy.update(other, state=sound_state()), "trained from another global model")
    nothing = dataclasses.replace(toy.update(ROUND, state=sound_state()), base="")
    refuse(nothing, "digest missing")


def test_another_site_is_refused(toy):
    refuse(toy.update(ROUND, "south", sound_state()), "comes from site 'south'")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.9", None])
def test_a_metric_that_is_no_number_is_refused(toy, value):
    sound = toy.update(ROUND, state=sound_state())
    refuse(
        dataclasses.replace(sound, metrics={"val_auroc": value}),
        "metric 'val_auroc' must be a finite number",
    )


@pytest.mark.parametrize(
    ("metrics", "match"),
    [
        ({"a\n2026-01-01T00:00:00Z  over": 1.0}, r"printable characters, found 'a\\n2026"),
        ({"\ud800": 1.0}, "printable"),
        ({"\x1b[2J": 1.0}, "printable"),
        ({"": 1.0}, "printable"),
        ({"a" * 101: 1.0}, "1..100"),
        ({f"m{i}": 1.0 for i in range(1001)}, "1001 metrics"),
        ({"auc": -1.7e308}, r"within \+-1e\+100"),
    ],
)
def test_metrics_that_no_log_no_table_and_no_sum_can_hold_are_refused(toy, metrics, match):
    refuse(toy.update(ROUND, state=sound_state(), **metrics), match)


def test_an_update_with_tensors_is_refused_in_the_final_round(toy):
    final = dataclasses.replace(ROUND, number=3)
    with pytest.raises(UpdateRefused, match="'bias' is unknown"):
        check_update(toy.update(final, state=sound_state()), final, site="north")
    check_update(toy.update(final), final, site="north")


@pytest.mark.parametrize(
    ("steps", "match"),
    [
        (0, r"n_steps must be in 1\.\.\d+, found 0"),
        (10**9, "n_steps must be .* found 1000000000"),
        (2.0, "n_steps must be a whole number, found 2.0"),
    ],
)
def test_an_absurd_number_of_steps_is_refused(toy, steps, match):
    refuse(dataclasses.replace(toy.update(ROUND, state=sound_state()), n_steps=steps), match)


def test_more_patients_than_the_site_joined_with_are_refused(toy):
    limits = Limits(declared={"north": 12, "south": 3})
    check_update(toy.update(ROUND, state=sound_state(), n=12), ROUND, site="north", limits=limits)
    refuse(
        toy.update(ROUND, state=sound_state(), n=13),
        "n_patients is 13, but the site joined with 12",
        limits=limits,
    )


def test_who_declared_no_patients_counts_no_more_than_all_who_did(toy):
    limits = Limits(declared={"south": 30, "west": 20})
    check_update(toy.update(ROUND, state=sound_state(), n=50), ROUND, site="north", limits=limits)
    refuse(toy.update(ROUND, state=sound_state(), n=51), "51, more than the 50 of", limits=limits)


CONTROLLED = dataclasses.replace(ROUND, controls={"weight": torch.zeros(2, 3)})


@pytest.mark.parametrize(
    ("controls", "match"),
    [
        ({}, "controls: tensor 'weight' is missing"),
        ({"weight": torch.ones(1)}, r"controls: tensor 'weight' must have the shape \(2, 3\)"),
        ({"weight": torch.full((2, 3), torch.nan)}, "controls: tensor 'weight' must be finite"),
        ({"weight": torch.ones(2, 3), "b": torch.ones(1)}, "controls: tensor 'b' is unknown"),
    ],
)
def test_controls_are_checked_as_the_model_is(toy, controls, match):
    update = toy.update(CONTROLLED, state=sound_state())
    with pytest.raises(UpdateRefused, match=match):
        check_update(dataclasses.replace(update, controls=controls), CONTROLLED, site="north")


def answers_of(toy, changes: dict[str, float], current: Round = ROUND) -> dict:
    """One update a site, whose change of the model has the given norm."""
    return {
        site: toy.update(current, site, {**EXPECTED, "bias": torch.tensor([change, 0.0])})
        for site, change in changes.items()
    }


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"a": 0.01, "b": 0.02, "c": 3.0}, ["c"]),
        ({"a": 0.01, "b": 0.05, "c": 3.0}, []),
        ({"a": 1.0, "b": 5.0, "c": 11.0}, ["c"]),  # no hospital would take such a model
        ({"a": 3.0, "b": 1e8}, ["b"]),  # of two, the smaller is the measure
        ({"a": 1e8}, ["a"]),  # nobody to compare with
        ({"a": 1e8, "b": 1e8, "c": 1.0}, ["a", "b"]),  # a majority of bad sites
        ({"a": 0.0, "b": 0.0, "c": 0.9}, []),  # less than the model itself is never too much
        ({"a": 1e30, "b": 1.0, "c": 1.0}, ["a"]),  # its square is no float32
    ],
)
def test_a_change_out_of_all_proportion_is_refused(toy, changes, refused):
    admission = admit(answers_of(toy, changes), ROUND)
    assert sorted(admission.refused) == refused
    assert [update.site for update in admission.accepted] == sorted(changes.keys() - set(refused))
    for site in refused:
        assert (
            f"site {site}, round 1: update refused: it changes the model by"
            in (admission.refused[site])
        )


def test_how_far_a_site_may_go_is_an_option(toy):
    answers = answers_of(toy, {"a": 2.0, "b": 2.0, "c": 7.0})
    assert list(admit(answers, ROUND, limits=Limits(max_change=3)).refused) == ["c"]
    assert admit(answers, ROUND, limits=Limits(max_change=4)).refused == {}
    with pytest.raises(ConfigError, match="max_change must be at least 1"):
        Limits(max_change=0.5)


def test_controls_out_of_all_proportion_are_refused(toy):
    answers = {
        site: dataclasses.replace(
            toy.update(CONTROLLED, site, sound_state()),
            controls={"weight": torch.full((2, 3), value)},
        )
        for site, value in {"a": 1.0, "b": 2.0, "c": 1e8}.items()
    }
    (reason,) = admit(answers, CONTROLLED).refused.values()
    assert "site c, round 1: update refused: its controls have a norm of 2.45e+08" in reason


def test_what_the_transport_could_not_believe_or_get_is_sorted_by_site(toy):
    answers = {
        "c": UpdateRefused("site c: the signature is not this site's"),
        "b": FederationError("site b: no answer within 600 s"),
        "a": toy.update(ROUND, "a", sound_state()),
    }
    admission = admit(answers, ROUND)
    assert [update.site for update in admission.accepted] == ["a"]
    assert admission.refused == {"c": "site c: the signature is not this site's"}
    assert admission.absent == {"b": "site b: no answer within 600 s"}


def test_sound_controls_pass_and_unasked_ones_do_not(toy):
    update = dataclasses.replace(
        toy.update(CONTROLLED, state=sound_state()), controls=CONTROLLED.controls
    )
    check_update(update, CONTROLLED, site="north")
    refuse(dataclasses.replace(update, base=ROUND.base), "controls: tensor 'weight' is unknown")


def test_a_site_that_only_evaluates_sends_no_tensor(toy):
    current = dataclasses.replace(ROUND, trainers=("south",))
    check_update(toy.update(current), current, site="north")
    with pytest.raises(UpdateRefused, match="is unknown"):
        check_update(toy.update(current, state=sound_state()), current, site="north")
