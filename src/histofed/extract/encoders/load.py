"""The public way to an encoder: a name, and perhaps a file of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.extract.encoders import google, registry
from histofed.extract.encoders.base import TileEncoder, weights_digest
from histofed.extract.encoders.build import build
from histofed.extract.encoders.device import chosen_device, chosen_precision
from histofed.extract.encoders.engines import chosen_engine
from histofed.extract.encoders.hub import fetched
from histofed.extract.encoders.weights import fitted, local_file, read

if TYPE_CHECKING:
    from histofed.extract.encoders.cards import EncoderCard


def encoder(
    card: str,
    weights: str | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
) -> TileEncoder:
    """Return the tile encoder of this name, its weights loaded.

    Parameters
    ----------
    card
        Name of the encoder's card.
    weights
        A file of the published weights, or a folder that holds it; None takes the hub's.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto`` takes a GPU where there is one.
    precision
        ``auto``, ``fp32``, ``fp16``, ``bf16``; ``auto`` is the card's on a GPU, fp32 elsewhere.
    engine
        ``auto``, ``eager``, ``folded`` (batch norms become part of the convolutions), ``compile``
        (torch.compile, which takes about a minute); ``auto`` folds on a CPU where there is
        something to fold, and is eager elsewhere.

    Raises
    ------
    ConfigError
        The name, the device, the precision or the engine does not exist or does not do here, or
        the encoder is not built here.
    WeightsError
        The weights are missing, damaged, of another model, gated or out of reach.
    """
    found = registry.card(card)
    if found is google.EFFICIENTNET_LITE0:
        return google.efficientnet_lite0(weights, device=device, precision=precision, engine=engine)
    return loaded(found, weights, device=device, precision=precision, engine=engine)


def loaded(
    card: EncoderCard,
    weights: str | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
) -> TileEncoder:
    """Return the tile encoder of a card; see `encoder`."""
    place = chosen_device(device)
    exactness = chosen_precision(precision, card, place)
    module = build(card)
    way = chosen_engine(engine, module, place)
    path = fetched(card) if weights is None else local_file(card, weights)
    if card.layout == "ctranspath":  # its tables of positions are computed, not stored
        module = build(card, device="cpu")
    state = fitted(card, read(card, path), module.trunk.state_dict(), path)
    # Every tensor is replaced: one that is not in the file has no value that could be used.
    module.trunk.load_state_dict(state, strict=True, assign=True)
    assert not any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    digest = weights_digest(state)
    return TileEncoder(card, module, digest, device=place, precision=exactness, engine=way)
