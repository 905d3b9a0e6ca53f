"""Published names of tensors -> the names of timm's models, which is what is built here.

One architecture, one implementation: a model published for transformers or in DINOv2's own names
runs in timm with its tensors renamed, so that no code of a hub is executed. DINOv2 (Oquab et al.
2023, arXiv:2304.07193) adds the class token's position to the token; models of timm with register
tokens keep the sum.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

State = dict[str, torch.Tensor]
Rules = tuple[tuple[str, str], ...]

VIT: Rules = (
    (r"^(?:vit\.)?embeddings\.cls_token$", "cls_token"),
    (r"^(?:vit\.)?embeddings\.position_embeddings$", "pos_embed"),
    (r"^(?:vit\.)?embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^(?:vit\.)?encoder\.layer\.", "blocks."),
    (r"\.attention\.attention\.(query|key|value)\.", r".attn.\1."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"^(?:vit\.)?layernorm\.", "norm."),
)
TRANSFORMERS_DINOV2: Rules = (
    (r"^(?:model|dinov2|backbone)\.", ""),
    (r"^embeddings\.(cls_token|mask_token|register_tokens)$", r"\1"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.attention\.attention\.(query|key|value)\.", r".attn.\1."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"\.mlp\.weights_in\.", ".mlp.fc1."),
    (r"\.mlp\.weights_out\.", ".mlp.fc2."),
    (r"^layernorm\.", "norm."),
)
DINOV2: Rules = (
    (r"^backbone\.", ""),
    (r"^blocks\.\d+\.(\d+\.)", r"blocks.\1"),  # saved in chunks: blocks.CHUNK.NUMBER.
    (r"\.mlp\.w12\.", ".mlp.fc1."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
)
TRANSFORMERS_CLIP: Rules = (
    (r"^vision_model\.", ""),
    (r"^embeddings\.class_embedding$", "cls_token"),
    (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
    (r"^embeddings\.patch_embedding\.", "patch_embed.proj."),
    (r"^pre_layrnorm\.", "norm_pre."),  # so misspelt in the published files
    (r"^post_layernorm\.", "norm."),
    (r"^encoder\.layers\.", "blocks."),
    (r"\.self_attn\.([qkv])_proj\.", r".attn.\1."),
    (r"\.self_attn\.out_proj\.", ".attn.proj."),
    (r"\.layer_norm([12])\.", r".norm\1."),
    (r"^visual_projection\.", "head."),
)
KEEP: Rules = (
    (r"^visual\.", ""),
    (r"^visual_head\.", "head."),
    (r"\.ls([12])\.weight$", r".ls\1.gamma"),
)

CONCH: Rules = (
    (r"^visual\.", ""),
    (r"^trunk\.", ""),
    (r"^attn_pool_contrast\.", "head."),
    (r"^ln_contrast\.", "head.norm."),
    (r"^head\.ln_q\.", "head.norm_query."),
    (r"^head\.ln_k\.", "head.norm_tokens."),
    (r"^head\.attn\.([qkv])_proj_weight$", r"head.to_\1.weight"),
    (r"^head\.attn\.out_proj\.", "head.to_out."),
)


def renamed(state: Mapping[str, torch.Tensor], layout: str) -> State:
    """Return published tensors under timm's names, floating ones in fp32."""
    floats = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
    return LAYOUTS[layout](floats)


def without(state: Mapping[str, torch.Tensor], prefixes: Iterable[str]) -> State:
    """Return the tensors whose names begin with none of the prefixes."""
    unused = tuple(prefixes)
    return {name: tensor for name, tensor in state.items() if not name.startswith(unused)}


def _by(rules: Rules) -> Callable[[State], State]:
    compiled = [(re.compile(pattern), new) for pattern, new in rules]

    def rename(state: State) -> State:
        found = {}
        for name, tensor in state.items():
            for pattern, new in compiled:
                name = pattern.sub(new, name)
            found[name] = tensor
        return found

    return rename


def _timm(state: State) -> State:
    """Leave out a classifier, as timm does for a model without classes."""
    return without(state, ("head.weight", "head.bias", "fc.weight", "fc.bias"))


def _vit(state: State) -> State:
    return _joined(_by(VIT)(state))


def _transformers_dinov2(state: State) -> State:
    return _without_training(_joined(_by(TRANSFORMERS_DINOV2)(state)))


def _dinov2(state: State) -> State:
    return _without_training(_by(DINOV2)(state))


def _clip(state: State) -> State:
    found = _joined(_by(TRANSFORMERS_CLIP)(state))
    for name, axes in (("cls_token", 2), ("pos_embed", 1)):
        if name in found:
            found[name] = found[name].reshape(*[1] * axes, *found[name].shape)
    return found


def _conch(state: State) -> State:
    """Take apart what is joined there: the biases of query, key and value; keys and values."""
    found = _by(CONCH)(state)
    for joined, parts in (("attn.in_proj_bias", "qkv"), ("to_kv.weight", "kv")):
        if f"head.{joined}" in found:
            kind = joined.rpartition("_" if "bias" in joined else ".")[2]
            pieces = found.pop(f"head.{joined}").chunk(len(parts))
            for part, piece in zip(parts, pieces, strict=True):
                found[f"head.to_{part}.{kind}"] = piece.contiguous()
    return found


def _ctranspath(state: State) -> State:
    """Swin of timm 0.5: a stage ends with its reduction, which now begins the next stage."""
    found = {}
    for name, tensor in state.items():
        if name.endswith((".attn_mask", ".relative_position_index")):
            continue  # derived from the architecture
        if match := re.match(r"layers\.(\d)\.downsample\.(.*)", name):
            name = f"layers.{int(match[1]) + 1}.downsample.{match[2]}"
        found[name] = tensor
    return found


def _without_training(state: State) -> State:
    """Leave out what only DINOv2's training needs, and add the class token's position to it."""
    found = without(state, ("mask_token",))
    if "register_tokens" in found and {"cls_token", "pos_embed"} <= set(found):
        found["reg_token"] = found.pop("register_tokens")
        positions = found["pos_embed"]
        found["cls_token"] = found["cls_token"] + positions[:, :1]
        found["pos_embed"] = positions[:, 1:].contiguous()
    return found


def _joined(state: State) -> State:
    """Join the query, key and value of each block; one that lacks any of them stays apart."""
    parts: dict[tuple[str, str], State] = defaultdict(dict)
    found: State = {}
    for name, tensor in state.items():
        if match := re.fullmatch(r"(blocks\.\d+\.attn\.)([qkv])(?:uery|ey|alue)?\.(\w+)", name):
            parts[match[1], match[3]][match[2]] = tensor
        else:
            found[name] = tensor
    for (block, kind), three in parts.items():
        if set(three) == set("qkv"):
            found[f"{block}qkv.{kind}"] = torch.cat([three[each] for each in "qkv"])
        else:
            found |= {f"{block}{each}.{kind}": tensor for each, tensor in three.items()}
    return found


LAYOUTS: dict[str, Callable[[State], State]] = {
    "timm": _timm,
    "dinov2": _dinov2,
    "transformers vit": _vit,
    "transformers dinov2": _transformers_dinov2,
    "transformers clip": _clip,
    "keep": _by(KEEP),
    "conch": _conch,
    "conch 1.5": _conch,
    "ctranspath": _ctranspath,
}
"""Name of a layout -> the renaming."""
