"""How an encoder's arithmetic is carried out: as published, folded, or compiled.

Features of one encoder agree between engines as they do between devices: to rounding. That is
checked when an encoder is made, on tiles of noise, so an engine is not part of the features'
digest, and processes with different engines may share the slides of one job.

Suffixes: B tiles of a batch, H x W pixels, D features.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.extract.encoders.cards import Precision

    Forward = Callable[[torch.Tensor], torch.Tensor]

Engine = Literal["eager", "folded", "compile"]

ENGINES = ("auto", "eager", "folded", "compile")

TILES_AT_ONCE = 2
"""Tiles that a core takes through the network together.

A large convolutional layer puts out 5 MB a tile. Beyond 32 MB the C library takes each block from
the system anew and gives it back (glibc, mallopt(3), M_MMAP_THRESHOLD), and having its pages
cleared takes as long as the arithmetic on them.
"""

AGREEMENT: dict[Precision, float] = {"fp32": 1e-3, "fp16": 0.02, "bf16": 0.1}
"""Largest difference from the eager features, as a part of the largest of them.

In half precision the order of the operations alone moves features that far.
"""

REMEDY = "set engine=eager"


def chosen_engine(wanted: str, module: nn.Module, device: torch.device) -> Engine:
    """Return the engine of this name; ``auto`` folds what can be folded on a CPU.

    Raises
    ------
    ConfigError
        No such engine exists.
    """
    if wanted not in ENGINES:
        msg = f"engine is {wanted!r}; it is one of {', '.join(ENGINES)}"
        raise ConfigError(msg)
    if wanted == "auto":
        has_norms = any(isinstance(each, nn.BatchNorm2d) for each in module.modules())
        return "folded" if device.type == "cpu" and has_norms else "eager"
    return wanted  # type: ignore[return-value]


def has_shape_of_batch(device: torch.device) -> bool:
    """Whether what goes through the network has as many tiles as the batch: a CPU takes a few."""
    return device.type != "cpu"


def tiles_at_once(device: torch.device, n_tiles: int) -> int:
    """Return how many of ``n_tiles`` go through the network together."""
    if has_shape_of_batch(device):
        return max(n_tiles, 1)
    return TILES_AT_ONCE


def prepared(
    module: nn.Module, engine: Engine, *, name: str, probe_B3HW: torch.Tensor, precision: Precision
) -> Forward:
    """Return the forward pass of a module by this engine, once it agrees with the eager one.

    Parameters
    ----------
    module
        In eval mode, on its device; it is left as it is.
    name
        The encoder's, for messages.
    probe_B3HW
        Normalised pictures, at least two, on which the features are compared.

    Raises
    ------
    ConfigError
        There is nothing to fold, the module cannot be compiled here, or the features differ.
    """
    if engine == "eager":
        return module
    fewer = folded(module, probe_B3HW)
    forward: Forward = fewer
    if engine == "compile":
        forward = _compiled(fewer, name=name, probe_B3HW=probe_B3HW)
    elif fewer is module:
        msg = f"encoder {name} has no batch norm to fold into a convolution; {REMEDY}"
        raise ConfigError(msg)
    expected_BD, found_BD = module(probe_B3HW).float(), forward(probe_B3HW).float()
    largest = expected_BD.abs().max().item()
    difference = (found_BD - expected_BD).abs().max().item()
    if not difference <= AGREEMENT[precision] * largest:  # so that not-a-number is refused
        msg = (
            f"encoder {name}: engine {engine} gives features that differ from the eager ones by "
            f"{difference:.2g}, where the largest is {largest:.2g}; {REMEDY}"
        )
        raise ConfigError(msg)
    return forward


def folded(module: nn.Module, probe_B3HW: torch.Tensor) -> nn.Module:
    """Return a copy with each batch norm multiplied into the convolution before it.

    At inference a batch norm is one scale and one shift per channel, and so is a part of a
    convolution (Jacob et al. 2018, arXiv:1712.05877, section 3.2). What it had behind it, such as
    the activation of timm's `BatchNormAct2d`, stays. A module with nothing to fold is returned
    itself.
    """
    pairs = _pairs(module, probe_B3HW)
    if not pairs:
        return module
    copied = copy.deepcopy(module)
    for conv_name, norm_name in pairs:
        conv, norm = copied.get_submodule(conv_name), copied.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var,
            norm.eps, norm.weight, norm.bias,
        )  # fmt: skip
        copied.set_submodule(norm_name, nn.Sequential(*norm.children()))
    return copied.requires_grad_(False)


def _pairs(module: nn.Module, probe_B3HW: torch.Tensor) -> list[tuple[str, str]]:
    """Return the names of convolutions and of the batch norms that take what they put out.

    Which follows which is seen in a run: the order in a list of modules would be a guess.
    """
    made_by: dict[int, str] = {}
    outputs: list[torch.Tensor] = []  # kept alive, so that no identity comes twice
    pairs: list[tuple[str, str]] = []
    hooks = []
    for name, each in module.named_modules():
        if isinstance(each, nn.Conv2d):

            def note(_: nn.Module, __: object, output: torch.Tensor, name: str = name) -> None:
                made_by[id(output)] = name
                outputs.append(output)

            hooks.append(each.register_forward_hook(note))
        elif isinstance(each, nn.BatchNorm2d) and each.running_mean is not None:

            def look(_: nn.Module, given: tuple[torch.Tensor, ...], name: str = name) -> None:
                if conv := made_by.get(id(given[0])):
                    pairs.append((conv, name))

            hooks.append(each.register_forward_pre_hook(look))
    try:
        module(probe_B3HW)
    finally:
        for hook in hooks:
            hook.remove()
    return pairs


def _compiled(module: nn.Module, *, name: str, probe_B3HW: torch.Tensor) -> Forward:
    """Return the compiled forward pass, for batches of any size."""
    from torch._dynamo import mark_dynamic  # takes a second to import
    from torch._dynamo.exc import TorchDynamoException

    # A graph of one piece: else what cannot be compiled would run eagerly, and nobody would know.
    compiled = torch.compile(module, fullgraph=True)

    def forward(pixels_B3HW: torch.Tensor) -> torch.Tensor:
        if len(pixels_B3HW) == 1:  # for which torch would compile once more
            return compiled(torch.cat([pixels_B3HW, pixels_B3HW]))[:1]
        return compiled(pixels_B3HW)

    probe = probe_B3HW.clone()
    mark_dynamic(probe, 0)
    try:
        forward(probe)
    except TorchDynamoException as error:
        said = " ".join(str(error).split("\n")[:2])
        msg = f"encoder {name} cannot be compiled here ({said}); torch.compile needs a C++ "
        msg += f"compiler on a CPU and Triton on a GPU; {REMEDY}"
        raise ConfigError(msg) from error
    return forward
