"""Requests to the GDC data portal, and what its answers mean.

The client is the standard library's. It knows proxies (``HTTPS_PROXY``) and certificates of a
hospital (``SSL_CERT_FILE``), and streams. A file is one long answer, so nothing is gained by a
client that keeps connections open; the only one among our dependencies belongs to the model hub's
library and was exchanged between two of its versions.

What the library would do unasked is taken from it: following a redirection to anywhere, with the
token.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

import histofed
from histofed.errors import ConfigError, DownloadError, HistofedError, PortalSilent
from histofed.io.gdc.patience import RangeRefused, Trouble, asked_wait_s

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import IO

PORTAL = "https://api.gdc.cancer.gov"

PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Statuses that may be others in a while."""

MAX_JSON_BYTES = 64 * 2**20

BROKEN = (OSError, http.client.HTTPException)
"""What a connection raises that cannot be made, breaks or is silent for too long."""


class Portal:
    """A data portal that speaks as the GDC's does (GDC API User's Guide).

    Parameters
    ----------
    address
        Where it is. Only ``https``, but for this very machine.
    token
        What gives access to controlled files. It is sent with requests for files, to this address
        alone, and stands in no message.
    timeout_s
        A connection that brings nothing for so long is broken.

    Raises
    ------
    ConfigError
        The address is none, or not safe.
    """

    def __init__(self, address: str = PORTAL, *, token: str = "", timeout_s: float = 60.0) -> None:
        self.address = checked_address(address)
        self._token = token
        self._timeout_s = timeout_s
        handlers: list[urllib.request.BaseHandler] = [_SameHost()]
        if _is_this_machine(urlsplit(self.address)):
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    @contextmanager
    def file(self, file_id: str, *, start: int = 0) -> Iterator[http.client.HTTPResponse]:
        """Open a file from byte ``start`` on; the answer may be the whole file all the same.

        Raises
        ------
        DownloadError
            The portal refuses: the file is not there, or not for everybody.
        Trouble
            The portal or the connection fails, now or in the block.
        """
        headers = {"X-Auth-Token": self._token} if self._token else {}
        if start:
            headers["Range"] = f"bytes={start}-"
        with self._answer(f"data/{file_id}", headers=headers) as response:
            yield response

    def ask(self, endpoint: str, question: Mapping[str, Any]) -> Any:
        """Return what an endpoint for searches answers.

        Raises
        ------
        DownloadError
            The portal refuses the question, or its answer is no JSON.
        Trouble
            The portal or the connection fails.
        """
        data = json.dumps(question).encode()
        headers = {"Content-Type": "application/json"}
        with self._answer(endpoint, headers=headers, data=data) as response:
            answer = response.read(MAX_JSON_BYTES)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            msg = f"{self.address}/{endpoint}: its answer is no JSON ({answer[:60]!r}); is this a "
            msg += "data portal (portal=...)?"
            raise DownloadError(msg) from error

    @contextmanager
    def _answer(
        self, endpoint: str, *, headers: Mapping[str, str], data: bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        request = urllib.request.Request(f"{self.address}/{endpoint}", data=data)
        request.add_header("User-Agent", f"histofed/{histofed.__version__}")
        for name, value in headers.items():
            # Not sent by the library to where a redirection leads, should one ever get past us.
            request.add_unredirected_header(name, value)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                yield response
        except urllib.error.HTTPError as error:
            with error:
                raise self._meant(error) from None
        except HistofedError:  # a full disk is an OSError too, and no connection
            raise
        except BROKEN as error:
            raise _broken(error, self.address) from error

    def _meant(self, error: urllib.error.HTTPError) -> DownloadError | Trouble:
        """Return what a status means."""
        phrase = http.client.responses.get(error.code, "no status that there is")
        said = f"{self.address} answers {error.code} ({phrase})"
        if error.code in PASSING:
            return Trouble(said, asked_s=asked_wait_s(error.headers.get("Retry-After")))
        if error.code == 416:
            return RangeRefused(said)
        if error.code in (401, 403) and self._token:
            said += ": the token does not open this file, or has run out (they last 30 days); get "
            said += "a new one from the portal"
        elif error.code in (401, 403):
            said += ": access to this file is controlled; name the file with your token (token=...)"
        elif error.code == 404:
            said += ": it has no such file, or no more; make the manifest anew"
        elif 300 <= error.code < 400:
            said += ": it leads elsewhere, and is not followed to another host"
        return DownloadError(said)


def read_token(path: Path) -> str:
    """Return the token that a file holds. No message shows any of it, nor the name of the file.

    Raises
    ------
    ConfigError
        The file is not there, or holds no token. People give the token itself for its file.
    """
    try:
        with path.open("rb") as file:
            token = file.read(2**16).strip().decode("ascii")
    except (OSError, ValueError) as error:
        what = (error.strerror if isinstance(error, OSError) else "") or "it holds no token"
        msg = f"token=... names no file with a token ({what}). It is the name of the file that the "
        msg += "portal gave you (menu of your account, Download Token), never the token itself"
        raise ConfigError(msg) from None
    if not token or not token.isprintable() or " " in token:
        msg = "the file that token=... names does not hold one line with a token; download it anew"
        raise ConfigError(msg)
    return token


def checked_address(address: str) -> str:
    """Return the address of a portal without a slash at its end.

    Raises
    ------
    ConfigError
        It is no address, or what is sent there could be read on the way.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.username or parts.query or parts.fragment or not address.isprintable():
        msg = f"portal={address}: it must be an address as {PORTAL}, without name or question"
        raise ConfigError(msg)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts)):
        msg = f"portal={address}: it must begin with https://, so that nobody reads or changes on "
        msg += "the way what is sent"
        raise ConfigError(msg)
    return address.rstrip("/")


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows where a request for a file is sent on to, if that is on the same host."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        there, here = urlsplit(urljoin(req.full_url, newurl)), urlsplit(req.full_url)
        if req.get_method() != "GET" or _host(there) != _host(here):
            return None  # the status itself is then the answer
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            for name, value in req.unredirected_hdrs.items():
                following.add_unredirected_header(name, value)
        return following


def _host(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_this_machine(parts: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


def _broken(error: Exception, address: str) -> DownloadError | Trouble:
    """Return what it means that there is no answer, or only a part."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        msg = f"{address}: its certificate is not trusted ({cause.verify_message}); where a "
        msg += "hospital reads along, name its certificates in SSL_CERT_FILE"
        return PortalSilent(msg)
    if isinstance(cause, TimeoutError):
        return Trouble(f"{address} was silent for too long (timeout_s=...)")
    return Trouble(f"the connection to {address} failed ({str(cause) or type(cause).__name__})")
