"""Weights from the hub and its cache. No network: only the hub's own answers are made up here."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import httpx2
import huggingface_hub
import huggingface_hub.constants
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file

from histofed.errors import WeightsError
from histofed.extract.encoders.build import build
from histofed.extract.encoders.load import encoder, loaded
from histofed.extract.encoders.registry import cards

if TYPE_CHECKING:
    from pathlib import Path

CARD = cards()["lunit_vits16"]
CARD = replace(CARD, arguments={**CARD.arguments, "depth": 1})


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def put(cache: Path, card, name: str) -> None:
    """Write weights of a card into the cache as the hub's client would."""
    folder = cache / f"models--{card.hub.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text("c" * 40, "utf-8")
    snapshot = folder / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    torch.manual_seed(0)
    state = {name: torch.randn(each.shape) for name, each in build(card).trunk.state_dict().items()}
    if name.endswith(".safetensors"):
        save_file(state, snapshot / name)
    else:
        torch.save(state, snapshot / name)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_cache_is_enough(name, cache) -> None:
    put(cache, CARD, name)
    file = next(cache.rglob(name))
    assert loaded(CARD, device="cpu").digest == loaded(CARD, str(file), device="cpu").digest


def test_what_is_in_the_cache_is_not_asked_for_again(cache, monkeypatch) -> None:
    def asked(*_, **__):
        pytest.fail("the hub was asked")

    put(cache, CARD, "pytorch_model.bin")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", asked)
    assert loaded(CARD, device="cpu").card is CARD


def test_weights_in_several_files_are_fetched_together(cache, monkeypatch) -> None:
    asked = []

    def answer(repo, name, *, revision):
        asked.append(name)
        if not name.startswith("model.safetensors.index"):
            msg = "404"
            raise errors.RemoteEntryNotFoundError(msg, response=response(404))
        index = cache / name
        shard = dict.fromkeys(("a", "b"), "model-00001.safetensors")
        index.write_text(json.dumps({"weight_map": shard}), "utf-8")
        return str(index)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    with pytest.raises(WeightsError, match="has none of"):
        loaded(CARD, device="cpu")
    assert asked[:3] == [
        "model.safetensors", "model.safetensors.index.json", "model-00001.safetensors",
    ]  # fmt: skip


def test_offline_without_the_weights(cache) -> None:
    with pytest.raises(WeightsError) as refused:
        encoder("phikon")
    for said in ("encoder phikon", "cannot be reached", "hf download owkin/phikon", "copy",
                 "encoder.weights=FILE"):  # fmt: skip
        assert said in str(refused.value)


def test_a_commit_that_is_named_is_asked_for(monkeypatch, cache) -> None:
    asked = []

    def answer(repo, name, *, revision):
        asked.append((repo, name, revision))
        msg = "not in the cache"
        raise errors.LocalEntryNotFoundError(msg)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    with pytest.raises(WeightsError):
        encoder("phaet")
    assert {(repo, revision[:8]) for repo, _, revision in asked} == {
        ("wearewaiv/phaet", "e0ce6e0e")
    }


def response(status: int) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request("GET", "https://hub.invalid/x"))


def test_the_network_fails(monkeypatch, cache) -> None:
    def answer(*_, **__):
        msg = "offline mode"
        raise errors.OfflineModeIsEnabled(msg)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    with pytest.raises(WeightsError, match=r"cannot be reached.*hf download MahmoodLab/uni"):
        encoder("uni")


def test_why_the_network_fails_is_said(monkeypatch, cache) -> None:
    def answer(*_, **__):
        msg = "An error happened while trying to locate the file"
        raise errors.LocalEntryNotFoundError(msg) from httpx2.ConnectError("certificate expired")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    with pytest.raises(WeightsError, match=r"cannot be reached \(certificate expired\)"):
        encoder("uni")


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_proxy_or_a_download_that_fails(library, monkeypatch, cache) -> None:
    for error in (library.ProxyError("407 denied"), library.ReadError("407 denied")):

        def answer(*_, error=error, **__):
            raise error

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
        with pytest.raises(WeightsError) as refused:
            encoder("uni")
        for said in ("encoder uni: ", "huggingface.co/MahmoodLab/uni", type(error).__name__,
                     "407 denied", "HTTPS_PROXY", "encoder.weights=FILE"):  # fmt: skip
            assert said in str(refused.value)


REFUSALS = [
    (errors.GatedRepoError, 403, None,
     ["huggingface.co/MahmoodLab/uni asks for a token and this machine has none", "HF_TOKEN"]),
    (errors.GatedRepoError, 403, "t",
     ["huggingface.co/MahmoodLab/uni is gated", "has no access", "ask for it on that page"]),
    (errors.RepositoryNotFoundError, 401, None, ["this machine has none", "hf auth login"]),
    (errors.RepositoryNotFoundError, 404, "t", ["is not there", "ask its lab"]),
    (errors.RevisionNotFoundError, 404, "t", ["has no commit"]),
    (errors.HfHubHTTPError, 503, "t", ["the hub refused", "try again later", "too busy"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "status", "token", "said"), REFUSALS)
def test_each_answer_of_the_hub_says_what_to_do(
    kind, status, token, said, monkeypatch, cache
) -> None:
    def answer(*_, **__):
        msg = "too busy"
        raise kind(msg, response=response(status))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: token)
    with pytest.raises(WeightsError) as refused:
        encoder("uni")
    for each in ("encoder uni: ", "encoder.weights=FILE", *said):
        assert each in str(refused.value)
    assert "hf_" not in str(refused.value)  # a token is never shown


def test_a_repository_without_weights(monkeypatch, cache) -> None:
    asked = []

    def answer(repo, name, *, revision):
        asked.append(name)
        msg = "404"
        raise errors.RemoteEntryNotFoundError(msg, response=response(404))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    with pytest.raises(WeightsError, match=r"has none of GPFM\.pth, model\.safetensors"):
        encoder("gpfm")
    assert asked[0] == "GPFM.pth"


def test_weights_that_are_on_no_hub() -> None:
    with pytest.raises(WeightsError, match=r"DinoBloom-S\.pth of Zenodo.*encoder\.weights=FILE"):
        encoder("dinobloom_s")
