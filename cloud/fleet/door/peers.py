"""Who is at the door: TLS 1.3 with a certificate of the fleet's own authority, and uvicorn's part.

uvicorn (0.54) does not tell an application its peer's certificate. Its HTTP protocol is a class
that its configuration names, and each connection has one: ours puts the certificate into the scope,
where the ASGI TLS extension has its place.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID
from uvicorn.protocols.http.h11_impl import H11Protocol

from cloud.contract.topics import Address, TopicError
from cloud.fleet.home import Home
from cloud.tls import NO_CHECK_TIME

IDLE_S: Final = 90  # between two requests; machines close theirs before
_KNOWN: Final = 2_000  # certificates whose parts are remembered


class StrangerError(Exception):
    """The certificate is no machine's. Says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A machine's certificate."""

    address: Address
    serial: str
    begins: datetime
    ends: datetime


def context(home: Home) -> ssl.SSLContext:
    """Return how the door speaks and whom it lets in.

    Dates are not checked here: a certificate that has ended may ask for its successor, and nothing
    else. Sessions are not resumed: each connection proves its key.

    Raises:
        OSError: A file can't be read, or is no certificate.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.num_tickets = 0
    made.load_cert_chain(home.tls / "door.pem", home.tls / "door-key.pem")
    made.load_verify_locations(home.tls / "ca.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    return made


@lru_cache(_KNOWN)
def peer_of(der: bytes) -> Peer:
    """Read a certificate that TLS has verified.

    Raises:
        StrangerError: Its common name is none of a machine.
    """
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        raise StrangerError("a machine's certificate has one common name")
    try:
        address = Address.parse(str(names[0].value))
    except TopicError as error:
        raise StrangerError(f"common name {error}") from error
    return Peer(
        address,
        f"{certificate.serial_number:x}",
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the peer's certificate in ``scope["extensions"]["tls"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the certificate, and give the first request no more time than a later one."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        found = None if tls is None else tls.getpeercert(binary_form=True)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})["tls"] = {"client_cert": found}
            await inner(scope, receive, send)

        self.app = app
        self._wait_for_a_request()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request that never becomes whole has its time as well."""
        super().data_received(data)
        cycle: object = self.cycle  # None before the first request
        if cycle is None and not self.transport.is_closing():
            self._wait_for_a_request()

    def _wait_for_a_request(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
