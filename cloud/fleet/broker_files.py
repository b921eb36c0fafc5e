"""The broker's files, and telling it that a certificate was revoked (Mosquitto)."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import signal
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from cloud.contract.topics import Address, access_rules, server_rules
from cloud.fleet import authority
from cloud.fleet.home import Home, write_public
from cloud.fleet.own import SERVER
from cloud.fleet.reach import broker_of
from cloud.mqtt import MqttError, StrictClient
from config.fleet import FleetSettings

_USER = "mosquitto"
_RELOAD = "reload it (SIGHUP)"


def make(home: Home, port: int, ca: authority.Pair, now: datetime) -> None:
    """Write the configuration, the access rules, and a list of revoked certificates, none yet."""
    broker, tls = home.broker, home.tls
    write_public(tls / "crl.pem", authority.revocations(ca, (), now))
    write_public(broker / "acl", (server_rules(SERVER) + access_rules()).encode())
    lines = [
        "# Written by `vendcloud init`. Machines come with certificates of our own authority; the",
        "# common name is the user's name, and the access rules are patterns over it.",
        f"pid_file {_pid_file(home)}",
        f"listener {port}",
        f"cafile {tls / 'ca.pem'}",
        f"crlfile {tls / 'crl.pem'}",
        f"certfile {tls / 'broker.pem'}",
        f"keyfile {tls / 'broker-key.pem'}",
        "tls_version tlsv1.3",
        "require_certificate true",
        "use_identity_as_username true",
        "allow_anonymous false",
        f"acl_file {broker / 'acl'}",
        "persistence true",
        f"persistence_location {broker}/",
        "autosave_interval 60",
        "max_queued_messages 100000",
        "max_inflight_messages 100",
        "persistent_client_expiration 30d",
        "max_packet_size 1114112",
    ]
    write_public(broker / "mosquitto.conf", ("\n".join(lines) + "\n").encode())
    hand_over(home)


def hand_over(home: Home) -> None:
    """Give the broker what only it may read or write, where it becomes a user of its own.

    Started by root, Mosquitto goes on as its package's user. Anybody else runs it as they are.
    """
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(_USER)
    except KeyError:
        return  # the broker runs on another computer
    for path in (home.broker, home.tls / "broker-key.pem"):
        try:
            os.chown(path, user.pw_uid, user.pw_gid)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return  # root of a user namespace that the user has no part in: nobody becomes it


def _pid_file(home: Home) -> Path:
    return home.broker / "mosquitto.pid"


def reload(home: Home) -> bool:
    """Have a broker on this computer read its certificates and lists again; tells whether."""
    with suppress(OSError, ValueError):
        pid = int(_pid_file(home).read_text(encoding="ascii"))
        # The file of a broker that was killed may name any other process by now.
        if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "mosquitto":
            os.kill(pid, signal.SIGHUP)
            return True
    return False


def renewed(settings: FleetSettings, home: Home) -> str:
    """Have the broker show its new certificate to who connects from now on.

    Returns:
        What somebody has to do; empty when it is done.
    """
    hand_over(home)
    if not settings.broker.enabled or reload(home):
        return ""
    return f"give the broker {home.tls / 'broker.pem'} and broker-key.pem, and {_RELOAD}"


async def broker_told(settings: FleetSettings, home: Home, address: Address) -> str:
    """Have the broker take the list of revoked certificates, and send a machine away.

    It looks at a certificate when somebody connects. Who is connected is sent away by a client of
    the same name, ours: the broker knows each name once.

    Returns:
        What somebody has to do; empty when it is done.
    """
    conf = home.broker / "mosquitto.conf"
    if conf.exists() and "\ncrlfile " not in conf.read_text(encoding="utf-8"):
        return f"write `crlfile {home.tls / 'crl.pem'}` into {conf}, and {_RELOAD}"
    if not reload(home):
        return f"give it {home.tls / 'crl.pem'}, and {_RELOAD}"
    await asyncio.sleep(0.2)  # it reads the list at its next turn; there is no answer
    name = f"{address.tenant}-{address.machine}"
    try:
        async with StrictClient(broker_of(settings, home, name, keep_session=False)):
            pass
    except (MqttError, OSError) as error:
        return f"{settings.broker.host}:{settings.broker.port}: {error}"
    return ""
