"""Who speaks: a site signs with the key of its certificate, the server checks both.

TLS proves who is at the other end of a connection; a signature over the bytes proves it of every
update, whoever carried it, and can still be checked years later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from histofed.errors import ConfigError, UpdateRefused

if TYPE_CHECKING:
    from pathlib import Path

PURPOSE = b"histofed site message, version 1\n"
"""Is signed along, so that no signature made for something else will do."""
SOON_DAYS = 30
"""Who starts with a certificate that ends so soon is warned."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The key of a kit and its certificate."""

    key: rsa.RSAPrivateKey
    certificate: bytes

    @classmethod
    def of_kit(cls, startup: Path) -> Signer:
        """Read ``client.key`` and ``client.crt``.

        Raises
        ------
        ConfigError
            A file is missing, or not what it should be.
        """
        try:
            key = load_pem_private_key((startup / "client.key").read_bytes(), password=None)
            certificate = (startup / "client.crt").read_bytes()
        except (OSError, ValueError, TypeError) as error:
            msg = f"{startup}: its key or certificate cannot be read ({error}); ask for a new kit"
            raise ConfigError(msg) from error
        if not isinstance(key, rsa.RSAPrivateKey):
            msg = f"{startup / 'client.key'} must be an RSA key, found {type(key).__name__}; make "
            msg += "kits with `histofed federate provision`"
            raise ConfigError(msg)
        return cls(key, certificate)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        return bytes(self.key.sign(PURPOSE + message, _pss(), hashes.SHA256()))


def valid_until(startup: Path) -> datetime:
    """Return when the first certificate of a kit ends.

    Parameters
    ----------
    startup
        Folder ``startup`` of the kit.

    Raises
    ------
    ConfigError
        It holds none, or one that cannot be read.
    """
    try:
        ends: list[datetime] = [
            x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
            for file in [*startup.glob("*.crt"), startup / "rootCA.pem"]
        ]
    except (OSError, ValueError) as error:
        msg = f"{startup}: a certificate cannot be read ({error}); ask the coordinator for the kit "
        msg += "again"
        raise ConfigError(msg) from error
    return min(ends)


def check_dates(startup: Path) -> str:
    """Return a warning if a kit's certificates end soon, else nothing.

    Raises
    ------
    ConfigError
        They have ended.
    """
    end = valid_until(startup)
    left = end - datetime.now(UTC)
    if left > timedelta(days=SOON_DAYS):
        return ""
    remedy = (
        "the coordinator makes new kits (`histofed federate provision` with the same options, "
        "another out=...), with which the run goes on"
    )
    if left < timedelta():
        msg = f"{startup}: its certificates ended on {end:%Y-%m-%d}; {remedy}"
        raise ConfigError(msg)
    return f"the certificates of this kit end on {end:%Y-%m-%d}, in {left.days} days; {remedy}"


def check_signature(
    message: bytes, signature: bytes, certificate: bytes, *, site: str, authority: bytes
) -> None:
    """Let a message pass that the named site has signed.

    Parameters
    ----------
    certificate
        PEM, as the site sends it.
    site
        Who sent the message, as the transport knows it.
    authority
        PEM of the certificate that all others were signed with.

    Raises
    ------
    UpdateRefused
        The certificate is not of this federation, not of this site or not valid today, or the
        signature is not of its key.
    """
    if fault := _fault(message, signature, certificate, site=site, authority=authority):
        msg = f"site {site}: its message was refused: {fault}"
        raise UpdateRefused(msg)


def _fault(
    message: bytes, signature: bytes, certificate: bytes, *, site: str, authority: bytes
) -> str:
    try:
        shown, root = (x509.load_pem_x509_certificate(each) for each in (certificate, authority))
        shown.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as error:
        return f"its certificate is not one of this federation ({type(error).__name__})"
    names = [str(each.value) for each in shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [site]:
        return f"its certificate is that of {', '.join(names) or 'nobody'}"
    now = datetime.now(UTC)
    if not shown.not_valid_before_utc <= now <= shown.not_valid_after_utc:
        return f"its certificate is valid until {shown.not_valid_after_utc:%Y-%m-%d}; renew the kit"
    key = shown.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return f"its certificate holds a {type(key).__name__}, not an RSA key"
    try:
        key.verify(signature, PURPOSE + message, _pss(), hashes.SHA256())
    except InvalidSignature:
        return "the signature is not that of the key of its certificate over these bytes"
    return ""


def _pss() -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
