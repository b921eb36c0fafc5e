"""A revoked machine comes in by neither door, and is sent away where it is in; real processes."""

import asyncio
from collections.abc import Iterator

import pytest

from cloud.contract.topics import Address, Topic
from cloud.link import trust
from cloud.link.transport import LinkRefusedError
from cloud.link.transport_https import HttpsTransport
from cloud.mqtt import MqttError, StrictClient
from tests.fleet.site import Site, asked, vendcloud

MACHINE = Address("acme", "lobby-1")
OTHER = Address("acme", "lobby-2")


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("cloud") / "home")
    made.wait()
    for address in (MACHINE, OTHER):
        asked(made.home, "machine", "add", str(address))
    yield made
    made.end()


def https_of(site: Site, address: Address) -> HttpsTransport:
    folder = site.home / "tls" / "machines" / address.tenant
    pair = folder / f"{address.machine}.pem", folder / f"{address.machine}-key.pem"
    return HttpsTransport(
        "localhost", site.https, lambda: trust.context(site.home / "tls" / "ca.pem", *pair)
    )


async def test_a_revoked_machine_is_out_on_both_doors_until_it_has_another_certificate(
    site: Site,
) -> None:
    async with StrictClient(site.broker(OTHER)) as other:
        async with https_of(site, MACHINE).connect():
            pass
        client = StrictClient(site.broker(MACHINE))
        await client.__aenter__()
        told = await asyncio.to_thread(asked, site.home, "machine", "revoke", str(MACHINE))
        assert (len(told["revoked"]), told["broker"]) == (1, "told")
        async with asyncio.timeout(60):
            with pytest.raises(MqttError):
                await client.forever()
        for _ in range(2):
            with pytest.raises(MqttError):
                async with StrictClient(site.broker(MACHINE)):
                    raise AssertionError("the broker let it in")
        with pytest.raises(LinkRefusedError, match="revoked"):
            async with https_of(site, MACHINE).connect():
                raise AssertionError("the door let it in")
        shown = await asyncio.to_thread(asked, site.home, "machine", "show", str(MACHINE))
        (line,) = shown["certificates"]
        assert (line["serial"], bool(line["revoked_ms"])) == (told["revoked"][0], True)

        # The others never noticed, and a new certificate opens both again.
        await other.say(OTHER.topic(Topic.TELEMETRY), b'{"v":1,"at":1}')
        made = await asyncio.to_thread(asked, site.home, "machine", "certificate", str(MACHINE))
        assert made["serial"] != told["revoked"][0]
        async with StrictClient(site.broker(MACHINE)), https_of(site, MACHINE).connect():
            pass
    said = await asyncio.to_thread(
        vendcloud, site.home, "machine", "revoke", str(MACHINE), "--serial", "abc", code=6
    )
    assert "no valid certificate abc" in said
    assert "Revoked" not in await asyncio.to_thread(vendcloud, site.home, "certificates")

    # Nothing is due; a door's certificate that is missing is made.
    (site.home / "tls" / "door.pem").unlink()
    renewed = await asyncio.to_thread(asked, site.home, "certificates", "--renew")
    assert renewed["made"] == ["tls/door.pem"]
    assert {line["name"] for line in renewed["ends"]} == {
        "tls/ca.pem", "tls/broker.pem", "tls/door.pem", "tls/server.pem", "keys/acme-1.signed",
    }  # fmt: skip
