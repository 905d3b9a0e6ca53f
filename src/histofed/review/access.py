"""Who may see the page, and who is who.

none
    Whoever sits at this machine; the reviewer says a name.
token
    A reviewer signs in once with a token that only they were given (`invite`).
proxy
    The hospital's web server has asked already, and says who it is in a header that is believed
    from its address alone.

A browser is known by a random cookie. What it may write with is made from that cookie and a secret
of this process, so that another page cannot know it (CSRF). Who signed in is kept in memory and is
forgotten as the server stops.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import math
import re
import secrets
import threading
import time
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from histofed.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.review.store import ReviewStore

KINDS = ("none", "token", "proxy")

SESSION_S = 12 * 3600
"""A session nobody has used for so long is over."""

MAX_SESSIONS = 10_000

MAX_FAILURES, FAILURES_S = 10, 300
"""Tokens that an address may get wrong in so many seconds."""

ASKED_S = 5.0
"""So much later, at most, a token that was replaced opens nothing any more."""

MAX_NAME = 80

UNSEEN = re.compile("[\u115f\u1160\u2800\u3164\uffa0]")
"""Letters that count as printable and show nothing: fillers of Hangul, and empty braille."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the page is reached.

    Attributes
    ----------
    kind
        none, token or proxy.
    proxies
        Addresses, or networks, of the web servers in front of this one. Where there are any,
        nobody else is answered.
    """

    kind: str = "none"
    proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what protects nobody."""
        if self.kind not in KINDS:
            msg = f"access is {self.kind!r}; it is one of {', '.join(KINDS)}"
            raise ReviewError(msg)
        for each in self.proxies:
            try:
                network = ipaddress.ip_network(each)
            except ValueError as error:
                msg = f"proxies: {each!r} is no address or network ({error}); write it as 10.0.0.5"
                raise ReviewError(msg) from error
            if network.prefixlen == 0:
                msg = (
                    f"proxies: {each!r} is every address, so anybody could say who they are; name "
                )
                msg += "those of the web servers in front, such as 10.0.0.5"
                raise ReviewError(msg)
        if self.kind == "proxy" and not self.proxies:
            msg = "access=proxy needs the addresses whose word is taken for who somebody is: "
            msg += "proxies=[10.0.0.5]"
            raise ReviewError(msg)

    def is_proxy(self, address: str) -> bool:
        """Whether a request comes from a named web server."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        # How a socket for both kinds of addresses writes one of IPv4 (RFC 4291, 2.5.5.2).
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in ipaddress.ip_network(each) for each in self.proxies)

    def client(self, address: str, forwarded: str) -> str:
        """Return who asks a named web server: the last address that it did not add itself."""
        if not self.is_proxy(address):
            return address
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        return next((hop for hop in reversed(hops) if not self.is_proxy(hop)), address)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who a session is of, and the hash of the token that began it; empty without one."""

    reviewer: str
    token_sha256: str


class Sessions:
    """Who has signed in.

    Parameters
    ----------
    clock
        Seconds, for the tests.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret = secrets.token_bytes(32)
        self._clock = clock
        self._lock = threading.Lock()
        self._signed_in: OrderedDict[bytes, tuple[SignedIn, float]] = OrderedDict()

    @staticmethod
    def new_cookie() -> str:
        """Return a cookie that nobody guesses."""
        return secrets.token_urlsafe(32)

    def csrf(self, cookie: str, reviewer: str | None) -> str:
        """Return what this browser's writes must bring along, for as long as it is who it is."""
        said = json.dumps([cookie, reviewer]).encode()
        return hmac.new(self._secret, b"csrf" + said, hashlib.sha256).hexdigest()

    def may_write(self, cookie: str, token: str, reviewer: str | None) -> bool:
        """Whether a write comes from this server's own page, as it was made for this reviewer.

        Compared in constant time.
        """
        return bool(cookie) and hmac.compare_digest(
            self.csrf(cookie, reviewer).encode(), token.encode(errors="replace")
        )

    def sign_in(self, reviewer: str, *, token_sha256: str = "") -> str:
        """Return the cookie of a new session; an earlier one is never promoted."""
        cookie = self.new_cookie()
        who = SignedIn(reviewer, token_sha256)
        with self._lock:
            self._signed_in[self._key(cookie)] = (who, self._clock() + SESSION_S)
            while len(self._signed_in) > MAX_SESSIONS:
                self._signed_in.popitem(last=False)
        return cookie

    def sign_out(self, cookie: str) -> None:
        """Forget a session."""
        with self._lock:
            self._signed_in.pop(self._key(cookie), None)

    def signed_in(self, cookie: str) -> SignedIn | None:
        """Return who a browser is; None where nobody signed in, or too long ago."""
        key, now = self._key(cookie), self._clock()
        with self._lock:
            found = self._signed_in.pop(key, None)
            if found is None or found[1] < now:
                return None
            self._signed_in[key] = (found[0], now + SESSION_S)
            return found[0]

    def _key(self, cookie: str) -> bytes:
        # Looked up by its hash: how long that takes tells nothing of the cookie.
        return hmac.digest(self._secret, cookie.encode(errors="replace"), "sha256")


class Names:
    """One name for one person, in whatever capitals it is typed or sent; Groß and Gross are two."""

    def __init__(self, store: ReviewStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._one: dict[str, str] = {}

    def one(self, name: str) -> str:
        """Return the name under which somebody was first known, to this process or the store."""
        with self._lock:
            if name not in self._one:
                known = {*self._store.reviewers(), *self._one.values()}
                alike = sorted(each for each in known if each.lower() == name.lower())
                self._one[name] = name if name in known or not alike else alike[0]
            return self._one[name]


class Patience:
    """How often an address may get a token wrong."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Return how long an address must wait; 0 if it need not."""
        with self._lock:
            recent = self._recent(address)
            if len(recent) < MAX_FAILURES:
                return 0
            return max(1, round(recent[-MAX_FAILURES] + FAILURES_S - self._clock()))

    def failed(self, address: str) -> None:
        """Remember a wrong token."""
        with self._lock:
            self._failures[address] = [*self._recent(address), self._clock()][-MAX_FAILURES:]
            self._failures.move_to_end(address)
            while len(self._failures) > MAX_SESSIONS:
                self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = self._clock() - FAILURES_S
        return [at for at in self._failures.get(address, []) if at > since]


def invite(store: ReviewStore, reviewer: str, *, valid_days: int) -> str:
    """Return a new token of a reviewer, whose earlier ones are void; only its hash is kept.

    A plain SHA-256 will do: slow hashes protect words that people choose, and of 256 random bits
    none can be guessed however fast.

    Raises
    ------
    ReviewError
        The name is empty or too long, or the token would never be valid.
    """
    name = checked_name(reviewer)
    if not 1 <= valid_days <= 3650:
        msg = f"valid_days is {valid_days}; a token is valid for 1 to 3650 days"
        raise ReviewError(msg)
    token = secrets.token_urlsafe(32)
    until = datetime.now(UTC) + timedelta(days=valid_days)
    store.invite(name, token_sha256=hash_of(token), until=until.isoformat(timespec="seconds"))
    return token


class Invitations:
    """Whether tokens are still valid: a session ends with the token that began it."""

    def __init__(self, store: ReviewStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, datetime] = {}
        self._asked_at = -math.inf

    def hold(self, token_sha256: str) -> bool:
        """Whether a token is neither replaced nor out of date, as of `ASKED_S` ago."""
        with self._lock:
            is_old = self._clock() - self._asked_at > ASKED_S
            if is_old or token_sha256 not in self._until:  # it may have been made just now
                rows = self._store.invitations()
                self._until = {known: datetime.fromisoformat(until) for _, known, until in rows}
                self._asked_at = self._clock()
            until = self._until.get(token_sha256)
        return until is not None and until > datetime.now(UTC)


def reviewer_of_token(store: ReviewStore, token: str) -> str | None:
    """Return whose token it is; None for one that is unknown, replaced or out of date."""
    asked, now = hash_of(token), datetime.now(UTC)
    found = None
    for reviewer, known, until in store.invitations():  # all of them, whichever it is
        same = hmac.compare_digest(asked, known)
        if same and datetime.fromisoformat(until) > now:
            found = reviewer
    return found


def checked_name(name: str) -> str:
    """Return a reviewer's name without spaces around it; an ``ü`` is one letter.

    Raises
    ------
    ReviewError
        It is empty, too long, or holds what cannot be printed or seen.
    """
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if not name or len(name) > MAX_NAME or not name.isprintable() or UNSEEN.search(name):
        msg = (
            f"a reviewer's name has 1 to {MAX_NAME} letters that can be printed; got {name[:90]!r}"
        )
        raise ReviewError(msg)
    return name


def hash_of(token: str) -> str:
    """Return all that is kept of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
