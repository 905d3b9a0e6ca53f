"""Encoders published for transformers: both libraries give the same features on the same weights.

transformers writes its models under the published names, so its own classes make the files here,
and its own forward pass says what the features are.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from histofed.errors import WeightsError
from histofed.extract.encoders.build import ConvStem
from histofed.extract.encoders.load import loaded
from histofed.extract.encoders.registry import cards

transformers = pytest.importorskip("transformers")

DEPTH = 2
LIKE_OTHERS = {"hibou_l", "phaet", "mascaret"}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def awakened(model: torch.nn.Module) -> torch.nn.Module:
    """Give every tensor values that matter: fresh models have zeros and ones in many."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.ndim < 2 or "token" in name or "position" in name:
                tensor.add_(0.2 * torch.randn_like(tensor))
            else:
                tensor.normal_(std=tensor[0].numel() ** -0.5)
    return model.eval()


def depth(dim: int) -> int:
    return DEPTH if dim < 1024 else 1


def vit():
    return transformers.ViTModel(transformers.ViTConfig(num_hidden_layers=DEPTH))


def dinov2(dim: int, patch_px: int, *, swiglu: bool):
    config = transformers.Dinov2Config(
        hidden_size=dim, num_hidden_layers=depth(dim), num_attention_heads=dim // 64,
        image_size=224, patch_size=patch_px, use_swiglu_ffn=swiglu, layerscale_value=0.5,
    )  # fmt: skip
    return transformers.Dinov2Model(config)


def hibou(dim: int):
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=dim, num_hidden_layers=depth(dim), num_attention_heads=dim // 64,
        image_size=224, patch_size=14, use_swiglu_ffn=True, layerscale_value=0.5,
        num_register_tokens=4,
    )  # fmt: skip
    return transformers.Dinov2WithRegistersModel(config)


MODELS = {
    "phikon": vit,
    "phikon_v2": lambda: dinov2(1024, 16, swiglu=False),
    "hibou_b": lambda: hibou(768),
    "hibou_l": lambda: hibou(1024),
    "midnight_12k": lambda: dinov2(1536, 14, swiglu=True),
    "phaet": lambda: dinov2(1024, 16, swiglu=False),
    "mascaret": lambda: dinov2(1536, 14, swiglu=True),
}


def rule(name: str, hidden_BTD: torch.Tensor) -> torch.Tensor:
    if name == "midnight_12k":
        assert hidden_BTD.shape[1] == 1 + 256
        return torch.cat([hidden_BTD[:, 0], hidden_BTD[:, 1:].mean(1)], -1)
    if name in ("phaet", "mascaret"):
        return hidden_BTD[:, 0] / hidden_BTD[:, 0].norm(dim=-1, keepdim=True)
    return hidden_BTD[:, 0]


def shallow(name: str):
    card = cards()[name]
    width = card.dim // (2 if name == "midnight_12k" else 1)
    return replace(card, arguments={**card.arguments, "depth": depth(width)})


def tiles() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)


def prepared(card) -> torch.Tensor:
    return torch.tensor(((tiles() / 255 - card.mean) / card.std).transpose(0, 3, 1, 2)).float()


def assert_same(features: np.ndarray, expected: torch.Tensor) -> None:
    scale = float(expected.std())
    np.testing.assert_allclose(features, expected, atol=2e-3 * scale, rtol=2e-3)
    assert np.abs(features[0] - features[1]).mean() > 0.01 * scale


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LIKE_OTHERS)) for name in MODELS],
)
def test_both_libraries_give_the_same_features(name, tmp_path) -> None:
    card, model = shallow(name), awakened(MODELS[name]())
    model.save_pretrained(tmp_path)
    with torch.inference_mode():
        expected = rule(name, model(pixel_values=prepared(card)).last_hidden_state)
    ours = loaded(card, str(tmp_path), device="cpu")
    assert expected.shape == (2, card.dim)
    assert_same(ours.encode(tiles()), expected)


def test_the_image_side_of_an_image_text_model_is_taken(tmp_path) -> None:
    vision = {"num_hidden_layers": DEPTH, "patch_size": 32, "hidden_act": "quick_gelu"}
    config = transformers.CLIPConfig(vision_config=vision, text_config={"num_hidden_layers": 1})
    model = awakened(transformers.CLIPModel(config))
    model.save_pretrained(tmp_path)
    card = shallow("plip")
    with torch.inference_mode():
        seen = model.vision_model(pixel_values=prepared(card)).pooler_output
        expected = model.visual_projection(seen)
    assert_same(loaded(card, str(tmp_path), device="cpu").encode(tiles()), expected)


SWIN_NAMES = (
    (r"^encoder\.", ""),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.self\.relative_position", ".attn.relative_position"),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"^layernorm\.", "norm."),
    (r"^embeddings\.norm\.", "patch_embed.norm."),
)


def ctranspath_file(state: dict[str, torch.Tensor], stem: ConvStem) -> dict[str, torch.Tensor]:
    """Return Swin's tensors under the names that its authors and timm 0.5 gave them."""
    found = {f"patch_embed.proj.{name}": each for name, each in stem.proj.state_dict().items()}
    for name, tensor in state.items():
        for pattern, new in SWIN_NAMES:
            name = re.sub(pattern, new, name)
        if ".attention.self." in name:
            if ".query." in name:
                three = [state[self_name(name, part)] for part in ("query", "key", "value")]
                name = re.sub(r"attention\.self\.query", "attn.qkv", name)
                found[name] = torch.cat(three)
        elif not name.startswith(("embeddings.", "pooler.")):
            found[name] = tensor
    found["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    return found | {"head.weight": torch.ones(5, 768), "head.bias": torch.ones(5)}


def self_name(name: str, part: str) -> str:
    return f"encoder.{name.replace('query', part)}"


def test_swin_with_a_convolutional_stem(tmp_path) -> None:
    """Ours is timm's Swin; transformers' is the other one, with the stem put in its place."""
    depths = [2, 2, 2, 2]
    model = awakened(transformers.SwinModel(transformers.SwinConfig(embed_dim=96, depths=depths)))
    stem = awakened(
        ConvStem(embed_dim=96, img_size=(224, 224), norm_layer=torch.nn.LayerNorm)
    ).eval()
    assert isinstance(stem, ConvStem)
    stem.proj[1].running_mean.normal_()
    stem.proj[4].running_var.uniform_(0.5, 2)
    model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    torch.save({"model": ctranspath_file(state, stem)}, tmp_path / "ctranspath.pth")
    card = cards()["ctranspath"]
    card = replace(card, arguments={**card.arguments, "depths": tuple(depths)})
    ours = loaded(card, str(tmp_path / "ctranspath.pth"), device="cpu")
    model.embeddings.patch_embeddings.projection = stem.proj
    with torch.inference_mode():
        expected = model(pixel_values=prepared(card)).pooler_output
    assert_same(ours.encode(tiles()), expected)


@pytest.mark.parametrize("lost", ["query.weight", "mlp.fc1.bias", "embeddings.cls_token"])
def test_a_tensor_that_is_lost_is_named(lost, tmp_path) -> None:
    model = awakened(dinov2(1024, 16, swiglu=False))
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    victim = next(name for name in state if name.endswith(lost))
    save_file({name: each for name, each in state.items() if name != victim}, path)
    with pytest.raises(WeightsError, match=r"lacks .*another model"):
        loaded(shallow("phikon_v2"), str(tmp_path))
