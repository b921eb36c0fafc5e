"""The server's own certificates: made again while it runs, and shown to who connects then."""

import asyncio
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloud.contract.topics import Address, Topic
from cloud.fleet import authority, broker_files, certificates, own
from cloud.fleet.door import peers
from cloud.fleet.door.shown import Shown
from cloud.fleet.home import Home, write_private, write_public
from cloud.link import trust
from cloud.mqtt import StrictClient
from config.fleet import FleetSettings
from tests.fleet.doors import NOW, Doors
from tests.fleet.servers import mosquitto_program
from tests.fleet.site import Site, asked, vendcloud

MACHINE = Address("acme", "lobby-1")
PLENTY_S = 90.0
LONG_AGO = timedelta(days=200)  # more than a third of its life

pytestmark = pytest.mark.timeout(300)  # beside others on a slow machine


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("cloud") / "home")
    made.wait()
    asked(made.home, "machine", "add", str(MACHINE))
    yield made
    made.end()


def connected(site: Site, port: int) -> ssl.SSLSocket:
    certificate, key = Home(site.home).machine_files(MACHINE)
    context = trust.context(site.home / "tls" / "ca.pem", certificate, key)
    plain = socket.create_connection(("127.0.0.1", port), timeout=PLENTY_S)
    return context.wrap_socket(plain, server_hostname="localhost")


def serial_of(site: Site, port: int) -> str:
    with connected(site, port) as tls:
        found = tls.getpeercert()
        assert found is not None
        return str(found["serialNumber"]).lower().lstrip("0")


def shows(site: Site, port: int, serial: str) -> bool:
    return serial_of(site, port) == serial


def in_file(site: Site, name: str) -> str:
    return authority.serial_and_end((site.home / "tls" / f"{name}.pem").read_bytes())[0]


def broker_again(site: Site) -> subprocess.Popen[bytes]:
    conf = site.home / "broker" / "mosquitto.conf"
    return subprocess.Popen([mosquitto_program(), "-c", str(conf)], stderr=subprocess.DEVNULL)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(PLENTY_S):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.1)


async def test_certificates_made_again_are_shown_by_a_running_server_and_its_broker(
    site: Site,
) -> None:
    home = Home(site.home)
    ca, now = certificates.pair_of(home), datetime.now(UTC)
    ports = {"door": site.https, "broker": site.port}
    shown = {name: await asyncio.to_thread(serial_of, site, ports[name]) for name in ports}
    assert shown == {name: in_file(site, name) for name in ports}
    standing = await asyncio.to_thread(connected, site, site.https)
    for name in own.NAMES:
        own.make(home, ca, name, own.hosts_of(home), now - LONG_AGO)
    old = in_file(site, "server")

    told = await asyncio.to_thread(asked, site.home, "certificates", "--renew")

    assert (told["made"], told["broker"]) == ([f"tls/{name}.pem" for name in own.NAMES], "told")
    for name, port in ports.items():
        new = in_file(site, name)
        assert new != shown[name]
        await until(partial(shows, site, port, new))
    # What stood goes on.
    with standing:
        request = b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await asyncio.to_thread(standing.sendall, request)
        assert (await asyncio.to_thread(standing.recv, 12)).startswith(b"HTTP/1.1 ")
    # The server itself comes back to its broker with its new one: the old one would be refused.
    revoked = authority.revocations(ca, [(old, now)], now)
    write_public(home.tls / "crl.pem", revoked)
    broker = site.processes[0]
    broker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(broker.wait, PLENTY_S) == 0
    await until(lambda: not site.ready())  # else it may not have noticed yet, and says that it is
    site.processes[0] = broker_again(site)
    await until(site.ready)
    async with StrictClient(site.broker(MACHINE)) as client:
        await client.say(MACHINE.topic(Topic.TELEMETRY), b'{"v":1,"at":1}')

    # Nothing is due any more, and nobody is told anything.
    told = await asyncio.to_thread(asked, site.home, "certificates", "--renew")
    assert (told["made"], told["broker"]) == ([], "")


def test_a_broker_that_is_not_ours_to_tell_is_left_to_the_operator_with_words(
    tmp_path: Path,
) -> None:
    vendcloud(tmp_path, "init", "acme")  # its broker runs elsewhere, or not now
    home = Home(tmp_path)
    (home.tls / "door.pem").unlink()
    begun = datetime.now(UTC) - LONG_AGO
    own.make(home, certificates.pair_of(home), "broker", ("localhost",), begun)

    told = asked(tmp_path, "certificates", "--renew")

    assert told["made"] == ["tls/broker.pem", "tls/door.pem"]
    files = f"{home.tls / 'broker.pem'} and broker-key.pem"
    assert told["broker"] == f"give the broker {files}, and reload it (SIGHUP)"
    apart = FleetSettings.model_validate({"broker": {"enabled": False}})
    assert broker_files.renewed(apart, home) == ""


def test_files_that_do_not_fit_each_other_are_left_for_the_next_look(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    doors = Doors(tmp_path_factory.mktemp("doors"))
    shown = Shown(doors.home)
    first = shown._now
    assert not shown.refresh()
    pair, _ = authority.issue(doors.ca, "localhost", NOW, hosts=("localhost",), days=400)
    write_private(doors.home.tls / "door-key.pem", pair.key)
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            shown.refresh()
        assert shown._now is first
    write_public(doors.home.tls / "door.pem", pair.certificate)
    assert shown.refresh()
    assert shown._now is not first
    assert not shown.refresh()
    assert peers.context(doors.home).verify_mode is ssl.CERT_REQUIRED
