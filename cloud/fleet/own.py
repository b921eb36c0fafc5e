"""The server's own certificates: the broker's, the door's, and its own as the broker's client."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography import x509

from cloud.fleet import authority
from cloud.fleet.home import Home, write_private, write_public

SERVER: Final = "vendcloud"  # the server's name at the broker, whose access rules name it
NAMES: Final = ("broker", "door", "server")
# Between a running server's looks at the door's files: nothing to it, and soon enough for a person.
LOOK_S: Final = 5.0


def make(home: Home, ca: authority.Pair, name: str, hosts: tuple[str, ...], now: datetime) -> None:
    """Issue one of them, with a new key."""
    common, names = (SERVER, ()) if name == "server" else (hosts[0], hosts)
    pair, _ = authority.issue(ca, common, now, hosts=names, days=authority.MACHINE_DAYS)
    # The key first: whoever reads both in between finds that they do not fit, and reads again.
    write_private(home.tls / f"{name}-key.pem", pair.key)
    write_public(home.tls / f"{name}.pem", pair.certificate)


def due(home: Home, name: str, now: datetime) -> bool:
    """Tell whether one is missing, or a third of its life is over."""
    try:
        found = x509.load_pem_x509_certificate((home.tls / f"{name}.pem").read_bytes())
    except (OSError, ValueError):
        return True
    life = found.not_valid_after_utc - found.not_valid_before_utc
    return now > found.not_valid_before_utc + life / 3


def hosts_of(home: Home) -> tuple[str, ...]:
    """Return the names that the broker's certificate has, and the door's will have."""
    return authority.hosts_of((home.tls / "broker.pem").read_bytes())
