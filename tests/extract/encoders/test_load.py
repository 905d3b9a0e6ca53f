"""Each encoder from a published file to features, against a computation of our own.

A file of random weights is written under the published names, at full width with few blocks, and
loaded through the public path; the features must be those of `transformer` below, which is written
from the papers (Dosovitskiy et al. 2021; Oquab et al. 2023) and shares no code with timm. The
encoders published for transformers are in ``test_transformers.py``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

from histofed.extract.encoders.build import build
from histofed.extract.encoders.load import encoder, loaded
from histofed.extract.encoders.registry import cards

if TYPE_CHECKING:
    from histofed.extract.encoders import EncoderCard

LAYOUTS = ("timm", "dinov2", "keep", "conch", "conch 1.5")
VITS = [
    name
    for name, card in cards().items()
    if card.layout in LAYOUTS and (card.architecture or "").startswith("vit")
]
REPEATED = {
    "h_optimus_1", "kaiko_vits16", "kaiko_vitb16", "kaiko_vitb8", "lunit_vits8", "lunit_vits16",
    "mstar", "pathorchestra", "virchow", "dinobloom_b", "dinobloom_l", "dinobloom_g",
    "h_optimus_0", "conch_v1_5", "gpfm",
}  # fmt: skip
"""Built like another that is tested by default."""

State = dict[str, torch.Tensor]


def shallow(card: EncoderCard) -> EncoderCard:
    return replace(card, arguments={**card.arguments, "depth": 2 if card.dim < 1000 else 1})


def random_state(card: EncoderCard) -> State:
    """Values large enough that each tensor matters to the features."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, tensor in build(card).trunk.state_dict().items():
        spread = 0.3 if tensor.ndim == 1 else tensor[0].numel() ** -0.5
        values = spread * torch.randn(tensor.shape, generator=generator)
        state[name] = values + 1 if re.search(r"norm\d?\.weight|gamma", name) else values
    return state


def normalised(state: State, name: str, x: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + eps).sqrt()
    return x * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def attended(state: State, block: str, x_BTD: torch.Tensor, heads: int) -> torch.Tensor:
    qkv = linear(state, f"{block}.attn.qkv", x_BTD).unflatten(-1, (3, heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return linear(state, f"{block}.attn.proj", (weights @ v).transpose(1, 2).flatten(2))


def fed_forward(state: State, block: str, x: torch.Tensor) -> torch.Tensor:
    hidden = linear(state, f"{block}.mlp.fc1", x)
    if state[f"{block}.mlp.fc2.weight"].shape[1] == hidden.shape[-1]:
        hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    else:  # SwiGLU (Shazeer 2020): the first half opens the second
        gate, value = hidden.chunk(2, dim=-1)
        hidden = gate * torch.sigmoid(gate) * value
    return linear(state, f"{block}.mlp.fc2", hidden)


def transformer(state: State, pixels_B3HW: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the tokens, normalised: class, registers, patches."""
    kernel = state["patch_embed.proj.weight"]
    x = functional.conv2d(
        pixels_B3HW, kernel, state["patch_embed.proj.bias"], stride=kernel.shape[-1]
    )
    side = x.shape[-1]
    x, positions = x.flatten(2).mT, state["pos_embed"]
    first = [state[name] for name in ("cls_token", "reg_token") if name in state]
    n_first = sum(token.shape[1] for token in first)
    if positions.shape[1] == side**2 + n_first:
        x = torch.cat([*(token.expand(len(x), -1, -1) for token in first), x], 1) + positions
    else:  # register tokens have no place, and the class token's is in itself
        if positions.shape[1] != side**2:
            larger = positions.mT.unflatten(-1, (round(positions.shape[1] ** 0.5), -1))
            positions = functional.interpolate(
                larger, size=(side, side), mode="bicubic", antialias=True
            )
            positions = positions.flatten(2).mT
        x = torch.cat([*(token.expand(len(x), -1, -1) for token in first), x + positions], 1)
    for number in range(1 + max(int(name.split(".")[1]) for name in state if "blocks." in name)):
        block = f"blocks.{number}"
        for update, norm, scale in (
            (lambda y, b=block: attended(state, b, y, heads), "norm1", "ls1"),
            (lambda y, b=block: fed_forward(state, b, y), "norm2", "ls2"),
        ):
            change = update(normalised(state, f"{block}.{norm}", x))
            x = x + change * state.get(f"{block}.{scale}.gamma", torch.ones(1))
    return normalised(state, "norm", x)


def embedded(card: EncoderCard, state: State, tokens_BTD: torch.Tensor) -> torch.Tensor:
    """Apply the rule that the lab publishes, with the numbers of tokens written out."""
    n_registers = {"virchow2": 4, "h0_mini": 4}
    if card.name in ("virchow", *n_registers):
        patches = tokens_BTD[:, 1 + n_registers.get(card.name, 0) :]
        assert patches.shape[1] == 256  # 16 x 16 patches of 14 px
        return torch.cat([tokens_BTD[:, 0], patches.mean(1)], -1)
    if card.name == "keep":
        hidden = functional.gelu(linear(state, "head.0", tokens_BTD[:, 0]))
        return functional.normalize(linear(state, "head.2", hidden), dim=-1)
    if card.name.startswith("conch"):
        return attention_pooled(card, state, tokens_BTD)
    return tokens_BTD[:, 0]


def attention_pooled(card: EncoderCard, state: State, tokens_BTD: torch.Tensor) -> torch.Tensor:
    """One query over all tokens: torch's own attention, which CONCH is published with."""
    attention = torch.nn.MultiheadAttention(
        card.dim, 8, kdim=tokens_BTD.shape[-1], vdim=tokens_BTD.shape[-1], batch_first=True
    )
    zeros = torch.zeros(card.dim)
    for part in "qkv":
        getattr(attention, f"{part}_proj_weight").copy_(state[f"head.to_{part}.weight"])
    biases = [state.get(f"head.to_{part}.bias", zeros) for part in "qkv"]
    attention.in_proj_bias.copy_(torch.cat(biases))
    attention.out_proj.weight.copy_(state["head.to_out.weight"])
    attention.out_proj.bias.copy_(state.get("head.to_out.bias", zeros))
    tokens = normalised(state, "head.norm_tokens", tokens_BTD, eps=1e-5)
    query = normalised(state, "head.norm_query", state["head.query"], eps=1e-5)
    pooled, _ = attention(query.expand(len(tokens), -1, -1), tokens, tokens)
    return normalised(state, "head.norm", pooled[:, 0], eps=1e-5)


CONCH_NAMES = {
    "head.norm_query": "attn_pool_contrast.ln_q",
    "head.norm_tokens": "attn_pool_contrast.ln_k",
    "head.norm": "ln_contrast",
    "head.": "attn_pool_contrast.",
}


def conch(card: EncoderCard, state: State) -> State:
    """Return tensors under the names of CONCH (all of CoCa) or of CONCH v1.5 (the image side)."""
    state = dict(state)
    parts = {kind: [state.pop(f"head.to_{part}.{kind}", None) for part in "qkv"]
             for kind in ("weight", "bias")}  # fmt: skip
    found = {}
    for name, tensor in state.items():
        for ours, theirs in CONCH_NAMES.items():
            if name.startswith(ours):
                found[name.replace(ours, theirs, 1)] = tensor
                break
        else:
            found[f"trunk.{name}"] = tensor
    pool = "attn_pool_contrast"
    if card.name == "conch_v1_5":
        found[f"{pool}.to_q.weight"] = parts["weight"][0]
        return found | {f"{pool}.to_kv.weight": torch.cat(parts["weight"][1:])}
    for part, tensor in zip("qkv", parts["weight"], strict=True):
        found[f"{pool}.attn.{part}_proj_weight"] = tensor
    found[f"{pool}.attn.in_proj_bias"] = torch.cat(parts["bias"])
    found = {
        f"visual.{name.replace(f'{pool}.to_out', f'{pool}.attn.out_proj')}": tensor
        for name, tensor in found.items()
    }
    others = ("text.cls_emb", "text_decoder.x", "logit_scale", "visual.proj_contrast",
              "visual.attn_pool_caption.query", "visual.ln_caption.bias")  # fmt: skip
    return found | {name: torch.ones(2) for name in others}


def published(card: EncoderCard, state: State) -> State:
    """Return our tensors under the names of the lab's file, with what else it holds."""
    if card.layout == "keep":
        named = {
            "visual_" * name.startswith("head.")
            + "visual." * (not name.startswith("head."))
            + re.sub(r"\.(ls\d)\.gamma", r".\1.weight", name): tensor
            for name, tensor in state.items()
        }
        return named | {"text.embeddings.word": torch.ones(3), "logit_scale": torch.ones(())}
    if card.layout == "timm":
        return state
    if card.name.startswith("conch"):
        return conch(card, state)
    found = {"mask_token": torch.zeros(1, state["cls_token"].shape[-1])}
    for name, tensor in state.items():
        if card.name == "crown":  # saved in chunks of blocks, SwiGLU under its own names
            name = name.replace("blocks.", "blocks.0.")
            name = name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
        found[name] = tensor
    if "reg_token" in found:
        # Not one number: a layer norm would not see it.
        first = torch.linspace(-1, 1, found["cls_token"].shape[-1]).expand(1, 1, -1)
        found["register_tokens"] = found.pop("reg_token")
        found["cls_token"] = found["cls_token"] - first
        found["pos_embed"] = torch.cat([first, found["pos_embed"]], 1)
    return found


def saved(card: EncoderCard, state: State, folder) -> None:
    if card.container:
        inside = {f"backbone.{name}": tensor for name, tensor in state.items()}
        inside["dino_head.weight"] = torch.ones(2)
        torch.save({card.container: inside}, folder / "file.pth")
    elif card.file and not card.file.endswith(".safetensors"):
        torch.save(state, folder / card.file)
    else:
        save_file({name: tensor.contiguous() for name, tensor in state.items()},
                  folder / "model.safetensors")  # fmt: skip


def weights_of(card: EncoderCard, folder) -> str:
    return str(folder / "file.pth" if card.container else folder)


def tiles(card: EncoderCard) -> np.ndarray:
    shape = (2, card.size_px, card.size_px, 3)
    # Away from the ends of the range, where resizing with bytes would cut off.
    return np.random.default_rng(0).integers(40, 216, shape, dtype=np.uint8)


def prepared(card: EncoderCard, tiles_BHW3: np.ndarray) -> torch.Tensor:
    if card.resize_px:
        side = (card.resize_px, card.resize_px)
        way = Image.Resampling[card.interpolation.upper()]
        tiles_BHW3 = np.stack([np.array(Image.fromarray(t).resize(side, way)) for t in tiles_BHW3])
    edge = (tiles_BHW3.shape[1] - card.input_px) // 2
    inside = tiles_BHW3[:, edge : edge + card.input_px, edge : edge + card.input_px] / 255
    return torch.tensor(((inside - card.mean) / card.std).transpose(0, 3, 1, 2)).float()


def parameters(names: list[str]) -> list:
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in REPEATED else name for name in names
    ]


@pytest.mark.parametrize("name", parameters(VITS))
def test_features_are_those_of_the_published_model(name, tmp_path) -> None:
    card = shallow(cards()[name])
    state = random_state(card)
    saved(card, published(card, state), tmp_path)
    ours = loaded(card, weights_of(card, tmp_path), device="cpu")
    pictures = tiles(card)
    features = ours.encode(pictures)
    assert (features.dtype, features.shape) == (np.float16, (2, card.dim))
    heads = int(build(card).trunk.blocks[0].attn.num_heads)  # type: ignore[index, union-attr]
    with torch.inference_mode():
        expected = embedded(card, state, transformer(state, prepared(card, pictures), heads))
    scale = float(expected.std())
    near = 1e-2 if card.resize_px else 2e-3  # a resized pixel may round to its neighbour
    np.testing.assert_allclose(features, expected, atol=near * scale, rtol=2e-3)
    assert np.abs(features[0] - features[1]).mean() > 0.01 * scale


def test_every_encoder_that_is_built_here_is_tested() -> None:
    elsewhere = {"transformers vit", "transformers dinov2", "transformers clip", "ctranspath"}
    for name, card in cards().items():
        assert (
            card.architecture is None
            or name in (*VITS, "resnet50", "efficientnet_lite0")
            or card.layout in elsewhere
        )


def test_resnet_is_taken_behind_its_third_stage(tmp_path) -> None:
    """With the whole published file: its fourth stage and classifier are left out by name."""
    import timm

    whole = timm.create_model("resnet50", pretrained=False).eval()
    stages = timm.create_model("resnet50", pretrained=False, features_only=True, out_indices=[3])
    stages.load_state_dict(whole.state_dict(), strict=False)
    save_file(whole.state_dict(), tmp_path / "model.safetensors")
    card = cards()["resnet50"]
    ours, pictures = encoder("resnet50", str(tmp_path), device="cpu"), tiles(card)
    with torch.inference_mode():
        expected = stages.eval()(prepared(card, pictures))[0].mean(dim=(2, 3))
    np.testing.assert_allclose(ours.encode(pictures), expected, atol=1e-3, rtol=2e-3)


def test_the_embedded_encoder_goes_by_its_name_too() -> None:
    from histofed.extract.encoders.google import efficientnet_lite0

    assert encoder("efficientnet_lite0").digest == efficientnet_lite0().digest


def test_the_same_weights_have_the_same_digest_however_they_are_kept(tmp_path) -> None:
    card = shallow(cards()["lunit_vits16"])
    state = random_state(card)
    save_file(state, tmp_path / "model.safetensors")
    torch.save(state, tmp_path / "pytorch_model.bin")
    one = loaded(card, str(tmp_path), device="cpu")
    other = loaded(card, str(tmp_path / "pytorch_model.bin"), device="cpu")
    assert one.digest == other.digest
    state["norm.bias"][0] += 1e-6
    torch.save(state, tmp_path / "pytorch_model.bin")
    again = loaded(card, str(tmp_path / "pytorch_model.bin"), device="cpu")
    assert again.digest != one.digest
