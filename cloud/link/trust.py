"""Certificates on a machine whose clock may be wrong: the chain by TLS, the dates by us.

A Pi wakes up in any year. TLS checks the chain and the name without dates (OpenSSL's
X509_V_FLAG_NO_CHECK_TIME); after the handshake the dates are compared with the time that we know:
confirmed by the fleet or NTP, else the floor below which it surely is not.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cloud.link.transport import LinkLostError
from cloud.tls import NO_CHECK_TIME
from controller.clock import Clock
from controller.journal.wall_label import WallLabel

_FLIGHTS: Final = 4  # of a handshake in memory: more than TLS 1.3 has

Dates = Callable[[dict[str, Any] | None], None]


def context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Return how the broker is checked and who we are.

    Raises:
        OSError: A file can't be read.
        ssl.SSLError: A file is no certificate or no key of it.
    """
    made = ssl.create_default_context(cafile=str(ca))
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    made.load_cert_chain(certificate, key)
    return made


def surely(label: WallLabel, clock: Clock) -> Callable[[], tuple[int, bool]]:
    """Return what tells the time that is surely reached, and whether it is confirmed.

    Else it is the floor: a clock that is years ahead would take every certificate for ended, and
    nobody could ever tell it better.
    """

    def now_ms() -> tuple[int, bool]:
        stamp, confirmed = label.stamp(0, int(clock.monotonic_s() * 1000))
        return (stamp, True) if confirmed else (label.floor_ms, False)

    return now_ms


def own_certificate(ca: Path, certificate: Path, key: Path) -> dict[str, Any]:
    """Return our own certificate as a server of the fleet would see it: a handshake in memory.

    Raises:
        OSError: A file can't be read.
        ssl.SSLError: The certificate is none of the fleet's, not a client's, or not of this key.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    server.load_verify_locations(ca)
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # it talks to itself
    client.verify_mode = ssl.CERT_NONE
    client.load_cert_chain(certificate, key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up)
    theirs = server.wrap_bio(up, down, server_side=True)
    for _ in range(_FLIGHTS):
        for end in (ours, theirs):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    found = theirs.getpeercert()
    assert found, "a handshake that did not end has raised"
    return dict(found)


def life_of(certificate: dict[str, Any]) -> tuple[int, int]:
    """Return when a certificate begins and ends, UTC in ms since 1970."""
    return (
        ssl.cert_time_to_seconds(str(certificate["notBefore"])) * 1000,
        ssl.cert_time_to_seconds(str(certificate["notAfter"])) * 1000,
    )


def dates_checked(now_ms: Callable[[], tuple[int, bool]]) -> Dates:
    """Return the check of a peer's certificate (as ``ssl`` tells it) after a handshake.

    Args:
        now_ms: The time that we know, and whether it is confirmed. One that is not is a floor: it
            can tell that a certificate has ended, not that it has not begun.
    """

    def check(certificate: dict[str, Any] | None) -> None:
        if certificate is None:
            return  # a plain connection
        now, confirmed = now_ms()
        begins, ends = life_of(certificate)
        if now > ends:
            raise LinkLostError(f"the fleet's certificate ended on {certificate['notAfter']}")
        if confirmed and now < begins:
            raise LinkLostError(f"the fleet's certificate begins on {certificate['notBefore']}")

    return check
