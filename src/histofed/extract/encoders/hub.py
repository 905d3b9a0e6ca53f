"""Weights from the Hugging Face hub, or from its cache on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from histofed.errors import WeightsError
from histofed.extract.encoders.weights import names_of

if TYPE_CHECKING:
    from histofed.extract.encoders.cards import EncoderCard


def fetched(card: EncoderCard) -> Path:
    """Return the file of the card's weights in the hub's cache, downloaded where it is not there.

    ``HF_HUB_OFFLINE=1`` keeps to the cache; ``HF_TOKEN`` or ``hf auth login`` gives the token.

    Raises
    ------
    WeightsError
        The weights are on no hub, gated, not where the card says, or out of reach; each says what
        to do.
    """
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    if card.hub is None:
        msg = f"encoder {card.name}: its weights are on no hub; fetch {card.source} and set "
        raise WeightsError(msg + "encoder.weights=FILE")
    out_of_reach: Exception | None = None
    for name in names_of(card):
        try:
            path = _download(card, name)
            if name.endswith(".index.json"):
                for shard in set(json.loads(path.read_text("utf-8"))["weight_map"].values()):
                    _download(card, shard)
            return path
        except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
            out_of_reach = error  # another name may be in the cache
        except EntryNotFoundError:
            continue
        except HfHubHTTPError as error:
            _refuse(card, error)
    local = "or set encoder.weights=FILE_OR_FOLDER to a copy"
    if out_of_reach is None:
        names = ", ".join(names_of(card))
        msg = f"encoder {card.name}: {_page(card)} has none of {names}; fetch its weights {local}"
        raise WeightsError(msg)
    msg = (
        f"encoder {card.name}: the hub cannot be reached and its cache on this machine does not "
        f"hold {card.hub}; run `hf download {card.hub}` where there is a network and copy the "
        f"cache here, {local}"
    )
    raise WeightsError(msg) from out_of_reach


def _download(card: EncoderCard, name: str) -> Path:
    import huggingface_hub

    assert card.hub is not None
    return Path(huggingface_hub.hf_hub_download(card.hub, name, revision=card.revision))


def _refuse(card: EncoderCard, error: Exception) -> NoReturn:
    """Say what to do about the hub's answer."""
    import huggingface_hub
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    local = "or set encoder.weights=FILE_OR_FOLDER to a copy"
    has_token = huggingface_hub.get_token() is not None
    if isinstance(error, RevisionNotFoundError):
        msg = f"{_page(card)} has no commit {card.revision}; fetch the weights by hand {local}"
    elif isinstance(error, GatedRepoError) and has_token:
        msg = (
            f"{_page(card)} is gated, and the account of this machine's token has no access; ask "
            f"for it on that page with this account and wait for the consent, {local}"
        )
    elif isinstance(error, RepositoryNotFoundError) and not has_token:
        msg = (
            f"{_page(card)} asks for a token and this machine has none; ask for access on that "
            f"page, then run `hf auth login` or set HF_TOKEN, {local}"
        )
    elif isinstance(error, RepositoryNotFoundError):
        msg = f"{_page(card)} is not there, or not for the account of this machine's token; "
        msg += f"ask its lab where the weights are now, {local}"
    else:
        msg = f"the hub refused {_page(card)} ({error}); try again later, {local}"
    msg = f"encoder {card.name}: {msg}"
    raise WeightsError(msg) from error


def _page(card: EncoderCard) -> str:
    return f"huggingface.co/{card.hub}"
