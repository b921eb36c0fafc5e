"""A simulated machine, a real vendd, a real broker over TLS and a real server, end to end."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.rig import Rig
from simulator.vendd_client import VenddClient
from tests.fleet.site import Site, asked, asked_here

StartRig = Callable[..., Awaitable[Rig]]
PLENTY_S = 60.0
LOOK_S = 0.1


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("fleet") / "home")
    made.wait()
    asked(made.home, "machine", "add", "acme/demo")
    yield made
    made.end()


def section(site: Site) -> str:
    folder = site.home / "tls" / "machines" / "acme"
    return "\n".join(
        (
            "[cloud]",
            'tenant = "acme"',
            'host = "localhost"',
            f"port = {site.port}",
            f'ca = "{site.home / "tls" / "ca.pem"}"',
            f'certificate = "{folder / "demo.pem"}"',
            f'key = "{folder / "demo-key.pem"}"',
            f'root_key = "{site.made["root_key"]}"',
            "",
            "[machine]\n",
        )
    )


async def of_shell(site: Site, *arguments: str) -> Any:
    return await asyncio.to_thread(asked, site.home, *arguments)


async def told(
    site: Site, holds: Callable[[Any], bool], *arguments: str, within_s: float = PLENTY_S
) -> Any:
    """Ask the shell until what it says holds."""
    async with asyncio.timeout(within_s):
        while True:
            answer = await asyncio.to_thread(asked_here, site.home, *arguments)
            if holds(answer):
                return answer
            await asyncio.sleep(LOOK_S)


async def sell_one(rig: Rig) -> None:
    await rig.sim.wait_for(display="Insert money", timeout_s=PLENTY_S)
    await rig.sim.insert_coin(100)
    await rig.sim.insert_coin(50)
    await rig.sim.wait_for(display="Credit €1.50", timeout_s=PLENTY_S)
    mark = (await rig.api.call("ledger.show"))["seq"]  # else an earlier one's end is this one's
    await rig.sim.press_keys("A1")
    await rig.api.until_record("vend.closed", within_s=PLENTY_S, after=mark)
    await rig.settled()


async def stopped(rig: Rig) -> None:
    assert rig.vendd is not None
    assert await rig.vendd.stop() == 0


async def books_of(rig: Rig) -> dict[str, int]:
    rows = (await rig.api.call("ledger.show"))["accounts"]
    found = {row["account"]: row["debit"] - row["credit"] for row in rows}
    return {account: amount for account, amount in found.items() if amount}


async def sold_and_repriced(rig: Rig, site: Site) -> list[dict[str, Any]]:
    """A sale goes up, and a price comes down; the machine's stock then."""
    await sell_one(rig)

    (total,) = await told(site, lambda lines: bool(lines) and lines[0]["sold"] == 1, "sales")
    assert (total["cash"], total["currency"]) == (150, "EUR")

    sent = await of_shell(site, "cmd", "send", "acme/demo", "price.set", "column=A1", "price=170")
    (shown,) = await told(
        site, lambda lines: bool(lines) and lines[0]["outcome"] != "", "cmd", "show"
    )
    assert (shown["id"], shown["outcome"]) == (sent["id"], "done")
    stock: list[dict[str, Any]] = (await rig.api.call("stock.show"))["columns"]
    assert next(column["price"] for column in stock if column["column"] == "A1") == 170
    return stock


async def test_a_vend_is_in_the_cloud_and_a_price_comes_back(rigs: StartRig, site: Site) -> None:
    rig = await rigs(edits={"[machine]\n": section(site)})
    await rig.start_vendd()
    await rig.api.until_selling()
    stock = await sold_and_repriced(rig, site)

    # A collection states the books; the fleet countersigns, and the machine writes that down.
    held = (await rig.api.call("ledger.show"))["accounts"]
    box = next((row["debit"] for row in held if row["account"] == "cash.cashbox"), 0)
    mark = (await rig.api.call("ledger.show"))["seq"]
    await rig.api.call("collect", cashbox=box, stacker=0, bills=0)
    await rig.api.until_record("checkpoint.countersigned", within_s=PLENTY_S, after=mark)
    report = await rig.api.call("journal.verify")
    assert (report["ok"], report["rooted"]) == (True, True)
    assert report["proved"] > 0

    # A technician has everything sent, and waits for it.
    target = (await rig.api.call("sync.now"))["to"]
    async with asyncio.timeout(PLENTY_S):
        while (await rig.api.call("sync.show"))["acked"] < target:  # noqa: ASYNC110 - from outside
            await asyncio.sleep(0.05)
    sync = await rig.api.call("sync.show")
    assert (sync["connected"], sync["transport"], sync["error"]) == (True, "mqtt", "")
    assert sync["time_known"]
    assert abs(sync["offset_ms"]) < 5_000

    durable = (await rig.api.journal())[-1]["seq"]
    machine = await told(
        site,
        lambda line: line["records"] >= durable,
        "machine",
        "show",
        "acme/demo",
    )
    assert machine["online"] is True
    proof = await of_shell(site, "audit", "verify", "acme/demo")
    assert (proof["ok"], proof["journals"][0]["proved"]) == (True, report["proved"])
    assert machine["balances"] == await books_of(rig)
    columns = {column["column"]: column["count"] for column in stock}
    shown = await told(
        site,
        lambda line: (line["state"] or {}).get("stock") == columns,
        "machine",
        "show",
        "acme/demo",
    )
    state = shown["state"]
    assert state["mode"] == "idle"
    assert state["devices"]["changer"] == "ready"
    assert (await rig.reckoning()).agrees


async def test_a_disk_that_went_back_begins_a_journal_that_carries_what_was_sold_since(
    rigs: StartRig, site: Site, run_folder: Path
) -> None:
    rig = await rigs(edits={"[machine]\n": section(site)})
    await rig.start_vendd()
    await rig.api.until_selling()
    await sell_one(rig)
    await told(site, lambda lines: bool(lines) and lines[0]["sold"] == 1, "sales")
    await stopped(rig)
    image = run_folder / "image"
    shutil.copytree(run_folder / "journal", image)

    # Sold after the image was taken, and in the cloud.
    await rig.start_vendd()
    await rig.api.until_selling()
    await sell_one(rig)
    await told(site, lambda lines: lines[0]["sold"] == 2, "sales")
    await stopped(rig)

    # The disk goes back: its next start finds other coins than it believes, and sells on.
    shutil.rmtree(run_folder / "journal")
    shutil.copytree(image, run_folder / "journal")
    await rig.start_vendd()
    (first, second) = (
        await told(
            site,
            lambda line: len(line["journals"]) == 2 and line["journals"][1]["records"] > 3,
            "machine",
            "show",
            "acme/demo",
        )
        and (await of_shell(site, "machine", "show", "acme/demo"))["journals"]
    )
    assert (first["adopted"], second["adopted"]) == (True, False)
    assert second["previous_uid"] == first["journal"]
    assert {line["cause"] for line in await of_shell(site, "alerts")} >= {
        "journal.forked", "journal.unadopted"
    }  # fmt: skip

    await of_shell(site, "machine", "adopt-journal", "acme/demo", second["journal"])
    assert rig.vendd is not None
    await rig.vendd.api.close()
    rig.vendd.api = await VenddClient.connect(run_folder / "vendd.sock")  # it closed at the fork
    await rig.api.until_selling()
    await sell_one(rig)
    await told(site, lambda lines: lines[0]["sold"] == 3, "sales")
    durable = (await rig.api.journal())[-1]["seq"]
    machine = await told(
        site,
        lambda line: line["journals"][1]["records"] >= durable,
        "machine",
        "show",
        "acme/demo",
    )
    assert machine["balances"] == await books_of(rig)


async def test_a_machine_whose_broker_does_not_answer_stops_in_order(
    rigs: StartRig, site: Site
) -> None:
    """Its farewell waits for the broker, and its guard must not take that for a hang."""
    rig = await rigs(edits={"[machine]\n": section(site)})
    await rig.start_vendd()
    await told(site, lambda line: line["online"], "machine", "show", "acme/demo")
    broker = site.processes[0]
    broker.send_signal(signal.SIGSTOP)
    try:
        await stopped(rig)
    finally:
        broker.send_signal(signal.SIGCONT)
