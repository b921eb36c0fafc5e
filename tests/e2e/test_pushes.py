"""Field lesson 20 on the real parts: pushes and reconnects in any order never touch the journal."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from cloud.fleet import configuration, reports
from cloud.fleet import schema as t
from simulator.fleet.site import BROKER
from simulator.rig import Rig
from tests.e2e.fleet_kit import PLENTY_S, Fleet, balances_of, money_is_there, sell_one
from tests.e2e.fleet_kit import fleets as fleets  # noqa: PLC0414 - a fixture, told to the checker
from tests.fleet.proxy import Proxy

LOBBY = "lobby"
Rows = list[tuple[int, int, str]]


class Pushed:
    """One machine, the line to its broker, and what is done to both."""

    def __init__(self, fleet: Fleet, rig: Rig, proxy: Proxy) -> None:
        self.fleet = fleet
        self.rig = rig
        self.proxy = proxy
        self.pushes = 0
        self.sold = 0

    @property
    def address(self) -> str:
        return str(self.fleet.address(LOBBY))

    async def rows(self) -> Rows:
        """Return all that is durable, with the hashes that cover it."""
        records = await self.rig.api.journal()
        return [(record["seq"], record["boot"], record["hash"]) for record in records]

    async def push(self) -> None:
        self.pushes += 1
        settings = (
            f"planogram.columns.B3.price={100 + 10 * self.pushes}",
            "policy.max_credit=4000",
        )
        await self.fleet.site.ask("desired", "set", self.address, *settings)

    async def push_what_is_wrong(self) -> None:
        self.pushes += 1
        await self.fleet.site.ask(
            "desired", "set", self.address, "journal.folder=/elsewhere", "gpio.rows=[1]", "--only"
        )

    async def command(self) -> None:
        await self.fleet.site.ask("cmd", "send", self.address, "price.set", "column=B1", "price=90")

    async def reconnect(self) -> None:
        self.proxy.cut()
        self.proxy.mend()
        await self.fleet.hurry(self.rig)

    async def lose_the_broker(self) -> None:
        await self.fleet.site.kill(BROKER)
        await sell_one(self.rig)
        self.sold += 1
        await self.fleet.on(self.rig)

    async def sell(self) -> None:
        await sell_one(self.rig)
        self.sold += 1

    async def kill(self) -> None:
        assert self.rig.vendd is not None
        await self.rig.vendd.kill()
        await self.rig.start_vendd()


@pytest.mark.parametrize("seed", [1])
async def test_pushes_and_reconnects_over_a_real_broker_never_touch_the_journal(
    fleets: Callable[[str], Any], seed: int
) -> None:
    chance = random.Random(seed)
    async with fleets("") as fleet, Proxy(fleet.site.settings.broker.port) as proxy:
        rig = await fleet.machine(LOBBY, through=proxy.port)
        await rig.start_vendd()
        pushed = Pushed(fleet, rig, proxy)
        await sell_one(rig)
        journal = await fleet.has_all_of(LOBBY, rig)
        steps: list[Callable[[], Awaitable[None]]] = [
            pushed.push, pushed.push_what_is_wrong, pushed.command, pushed.reconnect,
            pushed.reconnect, pushed.lose_the_broker, pushed.sell, pushed.kill, pushed.push,
        ]  # fmt: skip
        chance.shuffle(steps)
        held = await pushed.rows()
        for step in steps:
            await step()
            now = await pushed.rows()
            assert now[: len(held)] == held, f"{step.__name__} touched what was durable"
            held = now
        await fleet.hurry(rig)

        async def judged() -> bool:
            shown = await configuration.view(fleet.database, fleet.address(LOBBY))
            return bool(shown["desired"]["outcome"]) and shown["seen"] == pushed.pushes

        await fleet.until(judged, "an outcome of the last revision")
        await pushed.sell()
        assert await fleet.has_all_of(LOBBY, rig) == journal
        async with fleet.database.reading() as connection:
            found = await connection.execute(
                select(t.record.c.seq, t.record.c.boot, t.record.c.hash).order_by(t.record.c.seq)
            )
            stored = [(row.seq, row.boot, bytes(row.hash).hex()) for row in found]
        assert stored == (await pushed.rows())[: len(stored)]
        assert len(stored) >= len(held)
        assert len(await fleet.journals(LOBBY)) == 1
        assert len(list((fleet.folder(LOBBY) / "journal").glob("journal-*.db"))) == 1
        assert await fleet.sold(LOBBY) == 1 + pushed.sold
        assert await fleet.balances(LOBBY) == await balances_of(rig)
        await money_is_there(rig)
        types = {record["type"] for record in await rig.api.journal()}
        assert {"config.applied", "config.refused"} <= types, "they were taken, and judged"
        commands = await reports.commands(fleet.database)
        assert [line["outcome"] for line in commands] == ["done"]
        assert (await rig.api.call("journal.verify", limit_s=PLENTY_S))["ok"]
