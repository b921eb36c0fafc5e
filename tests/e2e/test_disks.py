"""Disks that are copied, replaced and brought back, on real machines with a real fleet.

What was sold on any of them is in the fleet once, and what is in the machine is what it believes.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from cloud.fleet import alerts, reports
from simulator.demo.ledgers import compare_machine
from simulator.rig import Rig
from simulator.vendd_client import VenddClient
from tests.e2e.fleet_kit import (
    PLENTY_S,
    Fleet,
    balances_of,
    money_is_there,
    sell_one,
    selling,
    stop,
)
from tests.e2e.fleet_kit import fleets as fleets  # noqa: PLC0414 - a fixture, told to the checker
from tests.fleet.servers import Postgres, running

LOBBY = "lobby"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    server = Postgres()
    with running(server):
        yield server.make_database("disks").replace("postgresql://", "postgresql+psycopg://")
    server.remove()


async def begun_anew(fleet: Fleet, name: str, rig: Rig, journals: int) -> list[dict[str, Any]]:
    """Wait until a machine has noticed, and sells in a journal of its own."""

    async def there() -> list[dict[str, Any]]:
        lines = await fleet.journals(name)
        return lines if len(lines) == journals and lines[-1]["records"] > 3 else []

    lines: list[dict[str, Any]] = await fleet.until(there, f"{journals} journals of {name}")
    assert rig.vendd is not None
    await rig.vendd.api.close()  # it closed at the fork
    rig.vendd.api = await VenddClient.connect(rig.settings.api.socket)
    await rig.api.until_selling(PLENTY_S)
    return lines


async def test_a_copied_card_in_a_second_machine_sells_on_in_a_journal_of_its_own(
    fleets: Callable[[str], Any],
) -> None:
    """All of it was copied: name, certificate, key and journal; the first machine goes on."""
    async with fleets("") as fleet:
        lobby, hall = await fleet.machine(LOBBY), await fleet.another(LOBBY, "hall")
        await selling(lobby)
        await sell_one(lobby)
        first = await fleet.has_all_of(LOBBY, lobby)
        await stop(lobby)
        shutil.copytree(fleet.folder(LOBBY) / "journal", fleet.folder("hall") / "journal")
        await selling(lobby)
        await sell_one(lobby)
        await fleet.has_all_of(LOBBY, lobby)

        # Both sell while nobody hears them; then they push each other off the broker.
        await fleet.off()
        await selling(hall)
        await sell_one(hall)
        await sell_one(lobby)
        await fleet.on(lobby, hall)
        lines = await begun_anew(fleet, LOBBY, hall, 2)
        await sell_one(hall)
        await sell_one(lobby)

        assert await fleet.has_all_of(LOBBY, lobby, 0) == first
        second = await fleet.has_all_of(LOBBY, hall, 1)
        assert lines[1]["previous_uid"] == first
        assert [line["adopted"] for line in lines] == [True, False], "nobody takes it for the first"
        for rig, journal in ((lobby, first), (hall, second)):
            records = await rig.api.journal()
            assert {record["seq"] for record in records} == set(range(1, len(records) + 1))
            assert (await fleet.stored(journal))[: len(records)] == list(range(1, len(records) + 1))
            assert (await rig.api.call("journal.verify"))["ok"]
            await money_is_there(rig)
        carried = [
            record["data"]["seq"]
            for record in await hall.api.journal()
            if record["type"] == "record.carried"
        ]
        assert carried == list(range(lines[1]["previous_seq"] + 1, carried[-1] + 1)), "each once"
        compared = await compare_machine(lobby, fleet.database, fleet.address(LOBBY))
        wrong = [line for line in compared.lines if line.cloud != line.ledger]
        assert not wrong, "what the copy did is in no book of the first"
        assert await fleet.balances(LOBBY) == await balances_of(lobby)
        assert await fleet.sold(LOBBY) == 4
        assert alerts.UNADOPTED in await fleet.causes(LOBBY)


async def tubes_hold(rig: Rig, counts: dict[int, int]) -> None:
    """A technician leaves so many coins in each tube, by value; none where nothing is said."""
    await rig.api.act("service.enter")
    await rig.sim.door(True)
    before = await rig.sim.truth()
    for value in before.tubes:
        await rig.sim.empty_tubes(value, 0)
        if counts.get(value):
            await rig.sim.fill_tubes(value, counts[value])
    rig.staff_moved((await rig.sim.truth()).totals.tubes - before.totals.tubes)
    await rig.sim.door(False)
    mark = max((record["seq"] for record in rig.api.records), default=0)
    await rig.api.act("service.leave")
    await rig.api.until_record("tubes.counted", within_s=PLENTY_S, after=mark)
    await rig.api.until_selling(PLENTY_S)


async def no_change(rig: Rig) -> None:
    """A customer takes 2.00 back, of which the tubes hold 1.50: the rest is a claim."""
    await tubes_hold(rig, {100: 1, 50: 1})
    mark = (await rig.api.call("ledger.show"))["seq"]
    await rig.sim.insert_coin(200)
    await rig.sim.wait_for(display="Credit €", timeout_s=PLENTY_S)
    await rig.sim.pull_lever()
    await rig.api.until_record("claim.opened", within_s=PLENTY_S, after=mark)
    await rig.settled()
    await rig.sim.press_keys("*")  # the code is written down
    await tubes_hold(rig, {100: 20, 50: 20, 20: 20, 10: 20})


async def test_a_new_card_counts_what_is_in_the_tubes_and_the_old_ones_claims_stay(
    fleets: Callable[[str], Any], postgres: str
) -> None:
    async with fleets(postgres) as fleet:
        lobby = await fleet.machine(LOBBY)
        await selling(lobby)
        await sell_one(lobby)
        await no_change(lobby)
        first = await fleet.has_all_of(LOBBY, lobby)
        (claim,) = await reports.claims(fleet.database, fleet.address(LOBBY))
        sold = await fleet.sold(LOBBY)
        await stop(lobby)

        # The card is broken: an empty one goes in, and the coins are where they were.
        shutil.rmtree(fleet.folder(LOBBY) / "journal")
        there = (await lobby.sim.truth()).totals
        await selling(lobby)
        assert (await balances_of(lobby))["cash.tubes"] == there.tubes > 0
        await sell_one(lobby)
        second = await fleet.has_all_of(LOBBY, lobby)
        assert second != first
        assert await fleet.sold(LOBBY) == sold, "nobody has adopted it"
        assert {alerts.UNADOPTED, alerts.KEY_CHANGED} <= await fleet.causes(LOBBY)
        await fleet.site.ask("machine", "accept-key", str(fleet.address(LOBBY)))
        await fleet.site.ask("machine", "adopt-journal", str(fleet.address(LOBBY)), second)
        await sell_one(lobby)
        assert await fleet.has_all_of(LOBBY, lobby) == second

        assert await fleet.sold(LOBBY) == sold + 2
        assert await reports.claims(fleet.database, fleet.address(LOBBY)) == [claim]
        records = await lobby.api.journal()
        assert await fleet.stored(second) == [record["seq"] for record in records]
        assert await fleet.balances(LOBBY) == await balances_of(lobby)
        # What lies in the box from before is booked when somebody counts it.
        box = (await lobby.sim.truth()).totals.cashbox
        await lobby.api.call("collect", cashbox=box, stacker=0, bills=0)
        await fleet.has_all_of(LOBBY, lobby)
        cash = {
            line["account"]: line["amount"]
            for line in await reports.cash(fleet.database, fleet.address(LOBBY))
            if line["amount"]
        }
        assert cash == {"cash.tubes": (await lobby.sim.truth()).totals.tubes}
        assert not {alerts.UNADOPTED, alerts.KEY_CHANGED} & await fleet.causes(LOBBY)


async def test_a_disk_of_last_week_that_sold_on_before_it_was_asked_loses_and_doubles_nothing(
    fleets: Callable[[str], Any],
) -> None:
    async with fleets("") as fleet:
        lobby = await fleet.machine(LOBBY)
        await selling(lobby)
        await sell_one(lobby)
        first = await fleet.has_all_of(LOBBY, lobby)
        await stop(lobby)
        image = fleet.folder("image")
        shutil.copytree(fleet.folder(LOBBY) / "journal", image)
        shared = (await fleet.stored(first))[-1]
        await selling(lobby)
        await sell_one(lobby)
        await sell_one(lobby, 200)
        await fleet.has_all_of(LOBBY, lobby)
        held = await fleet.stored(first)
        await stop(lobby)

        # The week is gone from the disk, and it sells before the fleet can tell it so.
        shutil.rmtree(fleet.folder(LOBBY) / "journal")
        shutil.copytree(image, fleet.folder(LOBBY) / "journal")
        await fleet.off()
        await selling(lobby)
        await sell_one(lobby)
        await sell_one(lobby, 200)
        last = (await lobby.api.call("ledger.show"))["seq"]
        await fleet.on(lobby)
        lines = await begun_anew(fleet, LOBBY, lobby, 2)

        # The last record that both disks share is named; what was written behind it came once.
        assert (lines[1]["previous_uid"], lines[1]["previous_seq"]) == (first, shared)
        assert {alerts.FORKED, alerts.UNADOPTED} <= await fleet.causes(LOBBY)
        await fleet.site.ask(
            "machine", "adopt-journal", str(fleet.address(LOBBY)), lines[1]["journal"]
        )
        await sell_one(lobby)
        second = await fleet.has_all_of(LOBBY, lobby)
        records = await lobby.api.journal()
        told = [one["data"]["seq"] for one in records if one["type"] == "record.carried"]
        assert told == list(range(shared + 1, told[-1] + 1))
        assert told[-1] >= last, "all of it, and each once"
        kept = await fleet.stored(first)
        assert kept == list(range(1, len(kept) + 1)), "the fleet keeps the week that the disk lost"
        assert len(kept) >= len(held)
        assert await fleet.stored(second) == [record["seq"] for record in records]
        assert await fleet.sold(LOBBY) == 6
        # Of what fell into the box in the lost week somebody's count tells, and nothing else does.
        box = (await lobby.sim.truth()).totals.cashbox
        await lobby.api.call("collect", cashbox=box, stacker=0, bills=0)
        await money_is_there(lobby, box)
        await fleet.has_all_of(LOBBY, lobby)
        assert await fleet.balances(LOBBY) == await balances_of(lobby)
        assert (await lobby.api.call("journal.verify"))["ok"]
        assert not {alerts.FORKED, alerts.UNADOPTED} & await fleet.causes(LOBBY)


async def test_a_record_that_a_bad_card_has_lost_is_left_behind_and_all_others_are_told(
    fleets: Callable[[str], Any],
) -> None:
    async with fleets("") as fleet:
        lobby = await fleet.machine(LOBBY)
        await selling(lobby)
        await sell_one(lobby)
        first = await fleet.has_all_of(LOBBY, lobby)
        await fleet.off()
        await sell_one(lobby)
        await sell_one(lobby, 200)
        await stop(lobby)
        there = (await fleet.stored(first))[-1]
        path = fleet.folder(LOBBY) / "journal" / f"journal-{first}.db"
        with closing(sqlite3.connect(path)) as disk, disk:
            ((hurt,),) = disk.execute(
                "SELECT min(seq) FROM record WHERE seq > ? AND instr(body, ?)",
                (there, b"coins.deposited"),
            )
            disk.execute(
                "UPDATE record SET body = CAST(body || ' ' AS BLOB) WHERE seq = ?", (hurt,)
            )

        await selling(lobby)  # a start does not read it
        await sell_one(lobby)
        await fleet.on(lobby)
        lines = await begun_anew(fleet, LOBBY, lobby, 2)
        await fleet.site.ask(
            "machine", "adopt-journal", str(fleet.address(LOBBY)), lines[1]["journal"]
        )
        await sell_one(lobby)
        second = await fleet.has_all_of(LOBBY, lobby)

        assert (await fleet.stored(first))[-1] == hurt - 1
        records = await lobby.api.journal()
        assert await fleet.stored(second) == [record["seq"] for record in records]
        told = [one["data"] for one in records if one["type"] == "record.carried"]
        assert [one["seq"] for one in told if not one["verified"]] == [hurt]
        assert await fleet.sold(LOBBY) == 5
        assert await fleet.balances(LOBBY) == await balances_of(lobby)
        await money_is_there(lobby)
        (letter,) = await reports.dead_letters(fleet.database)
        assert f"record {hurt} of journal {first}" in letter["reason"]
