"""A simulated machine, a real vendd and a real server, over HTTPS alone: no broker runs."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.rig import Rig
from tests.e2e.fleet_kit import SPEED
from tests.e2e.test_fleet import (
    PLENTY_S,
    books_of,
    of_shell,
    section,
    sell_one,
    sold_and_repriced,
    stopped,
    told,
)
from tests.fleet.site import Site, asked

StartRig = Callable[..., Awaitable[Rig]]


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("fleet") / "home", broker=False)
    made.wait()
    asked(made.home, "machine", "add", "acme/demo")
    yield made
    made.end()


def over_https(site: Site) -> str:
    return section(site).replace(
        f"port = {site.port}", f'transport = "https"\nhttps_port = {site.https}'
    )


def unread(port: int) -> bool:
    """Tell whether the kernel holds bytes for a port of this computer that nobody has read yet."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
    ours = f":{port:04X}"
    return any(row[1].endswith(ours) and not row[4].endswith(":00000000") for row in rows[1:])


async def test_a_vend_is_in_the_cloud_and_a_price_comes_back_without_a_broker(
    rigs: StartRig, site: Site
) -> None:
    rig = await rigs(edits={"[machine]\n": over_https(site)})
    await rig.start_vendd()
    await rig.api.until_selling()
    await sold_and_repriced(rig, site)

    # Killed and started again, it goes on where the fleet is, and runs nothing twice.
    await stopped(rig)
    await rig.start_vendd()
    await rig.api.until_selling()
    durable = (await rig.api.journal())[-1]["seq"]
    machine = await told(
        site, lambda line: line["records"] >= durable, "machine", "show", "acme/demo"
    )
    assert machine["online"] is True
    assert machine["balances"] == await books_of(rig)
    finished = [r for r in await rig.api.journal() if r["type"] == "command.finished"]
    assert len(finished) == 1
    assert (await rig.reckoning()).agrees


async def test_machine_and_server_killed_in_mid_batch_over_https_lose_and_double_nothing(
    rigs: StartRig, site: Site
) -> None:
    rig = await rigs(edits={"[machine]\n": over_https(site)}, speed=SPEED)
    vendd = await rig.start_vendd()

    async def ordered(text: str) -> str:
        sent = await of_shell(site, "cmd", "send", "acme/demo", "echo", f"text={text}")
        return str(sent["id"])

    async def on_its_way() -> None:
        """Have records on their way to a server that holds them and says nothing."""
        site.server.send_signal(signal.SIGSTOP)
        await sell_one(rig)
        async with asyncio.timeout(PLENTY_S):
            while not unread(site.https):  # noqa: ASYNC110 - a kernel tells nobody
                await asyncio.sleep(0.02)
        assert (await rig.api.call("sync.show"))["records"] > 0

    # The machine: what it had posted is taken, and nobody hears the answer.
    sent = [await ordered("one")]
    await on_its_way()
    await vendd.kill()
    site.server.send_signal(signal.SIGCONT)
    await rig.start_vendd()
    # The server, with a batch in its hands and perhaps a command.
    sent.append(await ordered("two"))
    await on_its_way()
    site.killed()

    async def journal_once_in_sync() -> list[dict[str, Any]]:
        async with asyncio.timeout(PLENTY_S):
            while True:
                journal = await rig.api.journal()
                done = {r["data"]["id"] for r in journal if r["type"] == "command.finished"}
                sync = await rig.api.call("sync.show")
                if done >= set(sent) and sync["acked"] >= journal[-1]["seq"]:
                    return journal
                await asyncio.sleep(0.1)

    journal = await journal_once_in_sync()
    for kind in ("command.started", "command.finished"):
        runs = Counter(record["data"]["id"] for record in journal if record["type"] == kind)
        assert runs == Counter(sent), kind
    last = journal[-1]["seq"]
    assert [record["seq"] for record in journal] == [*range(1, last + 1)]
    machine = await of_shell(site, "machine", "show", "acme/demo")
    assert machine["records"] >= last
    assert machine["balances"] == await books_of(rig)
    assert (await of_shell(site, "sales"))[0]["sold"] == 2
    proof = await of_shell(site, "audit", "verify", "acme/demo")
    assert proof["ok"], "each record is there, in a dense sequence"
    assert (await rig.reckoning()).agrees
