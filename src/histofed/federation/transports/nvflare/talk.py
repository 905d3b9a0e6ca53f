"""The words of the conversation, and how bytes ride in NVFlare's envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvflare.apis.shareable import Shareable

from histofed.errors import FederationError, UpdateRefused
from histofed.federation.transports.nvflare.signing import check_signature
from histofed.federation.wire import MAX_BYTES

if TYPE_CHECKING:
    from histofed.federation.transports.nvflare.signing import Signer

HANDSHAKE = "handshake"
"""The site's facts, in answer to the agreement."""
SUMS = "sums"
"""The site's sums for a part."""
TRAIN = "train"
"""The site's update, in answer to a round."""
KEEP = "keep"
"""The finished model of a part."""
EVALUATE = "evaluate"
"""What the site's own patients say of the finished models, as numbers."""
REFUSED = "refused"
"""Why a site takes no part."""
OVER = "over"
"""Nothing is left to do."""
TASKS = (HANDSHAKE, SUMS, TRAIN, KEEP, EVALUATE, REFUSED, OVER)

ALIVE = "histofed.alive"
"""What a site's process says all the time, whatever else it does."""

_MESSAGE, _SIGNATURE, _CERTIFICATE, _REFUSAL = "message", "signature", "certificate", "refusal"


def envelope(message: bytes) -> Shareable:
    """Return a message of the server in NVFlare's envelope; TLS says from whom it is."""
    return Shareable({_MESSAGE: message})


def signed(message: bytes, signer: Signer) -> Shareable:
    """Return a message of a site in NVFlare's envelope, signed."""
    proof = {_SIGNATURE: signer.sign(message), _CERTIFICATE: signer.certificate}
    return Shareable({_MESSAGE: message, **proof})


def refusal(reason: str) -> Shareable:
    """Return a site's no, in NVFlare's envelope."""
    return Shareable({_REFUSAL: reason})


def opened(carried: Shareable, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the message of an envelope.

    Raises
    ------
    FederationError
        There is none, or it is too large.
    """
    message = carried.get(_MESSAGE)
    if not isinstance(message, bytes) or len(message) > max_bytes:
        found = f"{len(message)} bytes" if isinstance(message, bytes) else type(message).__name__
        msg = f"expected a message of at most {max_bytes} bytes, found {found}"
        raise FederationError(msg)
    return message


def opened_from(carried: Shareable, *, site: str, authority: bytes) -> bytes:
    """Return the message of a site's envelope.

    Raises
    ------
    UpdateRefused
        The message is not signed by the site.
    FederationError
        The site says no; or as `opened`.
    """
    if reason := carried.get(_REFUSAL):
        msg = f"site {site} says no: {_one_line(str(reason)[:500])}"
        raise FederationError(msg)
    if _MESSAGE not in carried:
        msg = f"site {site}: its process failed without an answer; its own client.log says why"
        raise FederationError(msg)
    message = opened(carried)
    signature, certificate = carried.get(_SIGNATURE), carried.get(_CERTIFICATE)
    if not isinstance(signature, bytes) or not isinstance(certificate, bytes):
        msg = f"site {site}: its message was refused: it is not signed"
        raise UpdateRefused(msg)
    check_signature(message, signature, certificate, site=site, authority=authority)
    return message


def _one_line(words: str) -> str:
    """Return a stranger's words so that they cannot look like lines of our own."""
    return "".join(each if each.isprintable() else " " for each in words)
