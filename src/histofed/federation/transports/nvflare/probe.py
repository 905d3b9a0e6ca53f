"""Why a hospital's client gets no answer: one connection of our own, told in words."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from histofed.federation.transports.nvflare.connection import address_of

if TYPE_CHECKING:
    from pathlib import Path

ASK_S = 5.0
"""What the server may take for each step."""
NEW_KIT = "ask the coordinator whether this is the kit of this federation"


def why_silent(kit: Path) -> str:
    """Return what stands between a hospital and the server, and what helps.

    Parameters
    ----------
    kit
        Of the hospital.

    Raises
    ------
    ConfigError
        The kit names no server.
    """
    host, port = address_of(kit)
    where, startup = f"{host}:{port}", kit / "startup"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    try:
        context.load_verify_locations(startup / "rootCA.pem")
        context.load_cert_chain(startup / "client.crt", startup / "client.key")
    except OSError as error:
        return f"the certificate or key in {startup} cannot be used ({error}); {NEW_KIT}"
    try:
        connection = socket.create_connection((host, port), timeout=ASK_S)
    except socket.gaierror as error:
        return f"{host} is not known here ({error.strerror}); ask your IT or the coordinator"
    except ConnectionRefusedError:
        return (
            f"{where} refuses connections: nothing listens there; ask the coordinator whether "
            "`histofed federate serve` runs, and on this port"
        )
    except OSError as error:
        return f"{where} is not reached ({error}); ask your IT to let this machine connect to it"
    with connection:
        return _shaken(context, connection, host=host, where=where)


def _shaken(context: ssl.SSLContext, connection: socket.socket, *, host: str, where: str) -> str:
    """Shake hands by TLS; return what came of it."""
    try:
        with context.wrap_socket(connection, server_hostname=host) as secure:
            # By TLS 1.3 a client hears only here that its certificate was refused.
            if not secure.recv(1):
                return f"{where} refuses the certificate of this kit; {NEW_KIT}"
    except ssl.SSLCertVerificationError as error:
        return (
            f"{where} shows a certificate that does not fit this kit ({error.verify_message}): "
            f"the kit of another federation, or another server; {NEW_KIT}"
        )
    except TimeoutError:
        return f"{where} takes a connection and says nothing; ask the coordinator what runs there"
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        return f"{where} refuses the certificate of this kit ({reason}); {NEW_KIT}"
    return (
        f"{where} takes the certificate of this kit, but not this client yet: the server starts, "
        "or another client with this certificate is connected: then end that one, or wait a minute"
    )
