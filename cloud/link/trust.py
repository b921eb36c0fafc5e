"""Certificates on a machine whose clock may be wrong: the chain by TLS, the dates by us.

A Pi wakes up in any year. TLS checks the chain and the name without dates (OpenSSL's
X509_V_FLAG_NO_CHECK_TIME); after the handshake the dates are compared with the time that we know:
confirmed by the fleet or NTP, else the floor below which it surely is not.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloud.link.transport import LinkLostError
from cloud.tls import NO_CHECK_TIME
from controller.clock import Clock
from controller.journal.wall_label import WallLabel

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
        begins = ssl.cert_time_to_seconds(str(certificate["notBefore"])) * 1000
        ends = ssl.cert_time_to_seconds(str(certificate["notAfter"])) * 1000
        if now > ends:
            raise LinkLostError(f"the fleet's certificate ended on {certificate['notAfter']}")
        if confirmed and now < begins:
            raise LinkLostError(f"the fleet's certificate begins on {certificate['notBefore']}")

    return check
