"""How this server reaches its broker."""

from __future__ import annotations

import ssl

from cloud.fleet.home import Home
from cloud.fleet.own import SERVER
from cloud.mqtt import Broker
from config.fleet import FleetSettings


def broker_of(
    settings: FleetSettings, home: Home, identifier: str, *, keep_session: bool = True
) -> Broker:
    """Return where the broker is, with this server's certificate.

    Raises:
        OSError: The certificate can't be read.
    """
    tls = tls_of(home) if settings.broker.tls else None
    return Broker(
        settings.broker.host,
        settings.broker.port,
        identifier,
        five=settings.broker.version == 5,
        username=None if tls else SERVER,
        tls=tls,
        keep_session=keep_session,
    )


def tls_of(home: Home) -> ssl.SSLContext:
    """Return how the broker is checked and who we are, as the files are now. Raises OSError."""
    tls = ssl.create_default_context(cafile=str(home.tls / "ca.pem"))
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_cert_chain(home.tls / "server.pem", home.tls / "server-key.pem")
    return tls
