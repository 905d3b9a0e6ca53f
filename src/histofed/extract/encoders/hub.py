"""Weights from the Hugging Face hub, or from its cache on this machine."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from histofed.errors import WeightsError
from histofed.extract.encoders.weights import names_of, shards

if TYPE_CHECKING:
    from histofed.extract.encoders.cards import EncoderCard


LOCAL = "or set encoder.weights=FILE_OR_FOLDER to a copy"


def fetched(card: EncoderCard) -> Path:
    """Return the file of the card's weights in the hub's cache, downloaded where it is not there.

    What the cache holds is taken as it is, without asking the hub for anything newer: the same
    machine gives the same features. ``HF_HUB_OFFLINE=1`` keeps to the cache; ``HF_TOKEN`` or
    ``hf auth login`` gives the token.

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
    names = names_of(card)
    in_cache = [name for name in names if _cached(card, name) is not None]
    for name in in_cache or names:
        try:
            return _complete(card, name)
        except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
            reason = str(error.__cause__ or error).partition("\n")[0]
            msg = (
                f"encoder {card.name}: the hub cannot be reached ({reason}) and its cache on this "
                f"machine does not hold {card.hub}; run `hf download {card.hub}` where there is a "
                f"network and copy the cache here, {LOCAL}"
            )
            raise WeightsError(msg) from error
        except EntryNotFoundError:
            continue
        except HfHubHTTPError as error:
            _refuse(card, error)
        except _broken_connections() as error:
            msg = (
                f"encoder {card.name}: the connection to {_page(card)} failed "
                f"({type(error).__name__}: {error}); try again, check HTTPS_PROXY where a proxy "
                f"leads out, {LOCAL}"
            )
            raise WeightsError(msg) from error
    msg = f"encoder {card.name}: {_page(card)} has none of {', '.join(names)}; "
    raise WeightsError(msg + f"fetch its weights {LOCAL}")


def _complete(card: EncoderCard, name: str) -> Path:
    """Return the file, with the files that it names where it is an index."""
    path = _one(card, name)
    for shard in shards(card, path) if name.endswith(".index.json") else ():
        _one(card, shard)
    return path


def _one(card: EncoderCard, name: str) -> Path:
    import huggingface_hub

    assert card.hub is not None
    found = _cached(card, name)
    return found or Path(huggingface_hub.hf_hub_download(card.hub, name, revision=card.revision))


def _cached(card: EncoderCard, name: str) -> Path | None:
    import huggingface_hub

    assert card.hub is not None
    found = huggingface_hub.try_to_load_from_cache(card.hub, name, revision=card.revision)
    return Path(found) if isinstance(found, str) else None


def _broken_connections() -> tuple[type[Exception], ...]:
    """Return what the hub's client lets through when a proxy or a download fails.

    It is built on httpx, from its version 2 on httpx2; whichever is here.
    """
    here = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]
    return tuple(importlib.import_module(name).HTTPError for name in here)


def _refuse(card: EncoderCard, error: Exception) -> NoReturn:
    """Say what to do about the hub's answer."""
    import huggingface_hub
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    has_token = huggingface_hub.get_token() is not None
    if isinstance(error, RevisionNotFoundError):
        msg = f"{_page(card)} has no commit {card.revision}; fetch the weights by hand {LOCAL}"
    elif isinstance(error, GatedRepoError) and has_token:
        msg = (
            f"{_page(card)} is gated, and the account of this machine's token has no access; ask "
            f"for it on that page with this account and wait for the consent, {LOCAL}"
        )
    elif isinstance(error, RepositoryNotFoundError) and not has_token:
        msg = (
            f"{_page(card)} asks for a token and this machine has none; ask for access on that "
            f"page, then run `hf auth login` or set HF_TOKEN, {LOCAL}"
        )
    elif isinstance(error, RepositoryNotFoundError):
        msg = f"{_page(card)} is not there, or not for the account of this machine's token; "
        msg += f"ask its lab where the weights are now, {LOCAL}"
    else:
        msg = f"the hub refused {_page(card)} ({error}); try again later, {LOCAL}"
    msg = f"encoder {card.name}: {msg}"
    raise WeightsError(msg) from error


def _page(card: EncoderCard) -> str:
    return f"huggingface.co/{card.hub}"
