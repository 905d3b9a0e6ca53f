"""Where an encoder computes, and how exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from histofed.extract.encoders.cards import EncoderCard, Precision

PRECISIONS = ("auto", "fp32", "fp16", "bf16")


def chosen_device(wanted: str) -> torch.device:
    """Return the device of this name; ``auto`` takes a GPU where there is one.

    Raises
    ------
    ConfigError
        No such device is here; what is here is named.
    """
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.mps.is_available()}
    if wanted == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if here[kind]))
    known = [kind for kind, is_here in here.items() if is_here]
    kind, _, number = wanted.partition(":")
    if kind not in known:
        msg = f"device is {wanted!r}; this machine has {', '.join(known)}; set one of them or auto"
        if kind == "cuda" and torch.version.cuda is None:
            msg += ". The torch installed here is built for CPUs: install one built for CUDA to "
            msg += "use a GPU of NVIDIA"
        raise ConfigError(msg)
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if number and not (number.isdigit() and int(number) < count):
        msg = f"device is {wanted!r}; {kind} devices here are numbered 0 to {count - 1}"
        raise ConfigError(msg)
    return torch.device(wanted)


def chosen_precision(wanted: str, card: EncoderCard, device: torch.device) -> Precision:
    """Return the precision of the arithmetic; ``auto`` is the card's on CUDA, fp32 elsewhere.

    Raises
    ------
    ConfigError
        A precision that does not exist, or that the device does not compute.
    """
    if wanted not in PRECISIONS:
        msg = f"precision is {wanted!r}; it is one of {', '.join(PRECISIONS)}"
        raise ConfigError(msg)
    if wanted == "auto":
        wanted = card.precision if device.type == "cuda" else "fp32"
        if wanted == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            msg = f"encoder {card.name} computes in bf16, which this GPU does not; "
            msg += "set precision=fp32"
            raise ConfigError(msg)
    elif wanted != "fp32" and device.type != "cuda":
        msg = f"precision is {wanted!r}; on {device.type} features are computed in fp32 only: set "
        msg += "precision=auto"
        raise ConfigError(msg)
    return wanted  # type: ignore[return-value]
