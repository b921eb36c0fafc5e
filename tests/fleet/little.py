"""A machine as a process, to be killed: the whole controller and link over hardware of no time.

``python -m tests.fleet.little OPTIONS`` (JSON). It reads a line of JSON for each thing to be done
and answers with one. What is physically there is told in each answer, and given to the next one:
coins and products outlive processes and disks. A fork ends its journal and begins the next one, as
in vendd.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import structlog

from cloud.link.assembly import Fleet
from cloud.link.link import Link
from config.models import Cloud
from config.settings import load
from controller.domain import commands as cmd
from controller.journal.beginning import BootInfo, begin_new
from controller.journal.envelope import Record
from controller.journal.records import (
    REGISTRY,
    CommandFinished,
    CommandStarted,
    MessageRefused,
)
from controller.journal.sqlite_aio import DirectoryStorage
from controller.planning import SettingsPlanner
from controller.state.fold import StateFold
from simulator.instant import COINS, InstantHardware
from simulator.shop import BUILT, Shop
from tests.fleet.books import SkewedClock

SETTINGS: Final = load(
    Path(__file__).parents[2] / "config" / "machines" / "demo.toml", home=Path("/nonexistent")
)
PRICE: Final = 150  # of A1
FULL: Final = 200  # coins in a tube
WAYS: Final = ((100, 50), (200,), (50, 50, 50), (100, 20, 20, 10))  # to pay it


class Little:
    """One process's machine, over as many journals as it takes."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.clock = SkewedClock(timedelta(seconds=options["off_s"]))
        self.random = random.Random(options["seed"])
        self.world: dict[str, Any] = options["world"]
        self.hardware = InstantHardware()
        changer = self.hardware.changer
        if self.world:
            changer.counts = list(self.world["tubes"])
            changer.cashbox = self.world["cashbox"]
        self.taken = self.world.get("taken", 0)
        self.paid = self.world.get("paid", 0)
        self.dropped = self.world.get("dropped", 0)
        self.connections = 0
        self.forks: list[int] = []
        self.refused: list[str] = []
        self.started: list[str] = []
        self.late: list[str] = []
        self.shop: Shop
        self.fleet: Fleet
        self.turn = asyncio.Lock()  # nobody sells while a journal begins
        self._was_connected = False

    def entropy(self, size: int) -> bytes:
        return os.urandom(size)  # two of one identity differ

    async def live(self) -> None:
        """Open the journal and keep in touch; begin another one at each fork."""
        folder = Path(self.options["folder"])
        folder.mkdir(exist_ok=True)
        while True:
            await self._open(folder)
            self.turn.release()
            await self.fleet.run()  # it returns when the fleet holds another chain
            await self.turn.acquire()
            await self.shop.stop()
            await begin_new(
                DirectoryStorage(folder),
                fold=StateFold(),
                registry=REGISTRY,
                clock=self.clock,
                entropy=self.entropy,
                boot=BootInfo("m1", "EUR", "test", "", BUILT, "one"),
                reason="the fleet holds another journal",
                by="fleet",
                fork=self.forks[-1],
            )

    async def _open(self, folder: Path) -> None:
        self.shop = await Shop.open(
            DirectoryStorage(folder),
            self.clock,
            hardware=self.hardware,
            planner=SettingsPlanner(SETTINGS, aside=False),
            entropy=self.entropy,
        )
        self.shop.machine.on_commit.append(self._committed)
        settings = Cloud(
            tenant="acme",
            host="127.0.0.1",
            port=self.options["port"],
            root_key=self.options["root_key"],
            version=self.options["version"],
            ca=Path(self.options["ca"]),
            certificate=Path(self.options["certificate"]),
            key=Path(self.options["key"]),
        )
        (folder / "cloud").mkdir(exist_ok=True)
        self.fleet = Fleet(
            settings, self.options["name"], self.shop.machine, self.clock, self.entropy, "test",
            lambda seq, _: self.forks.append(seq), folder / "cloud",
        )  # fmt: skip
        self.link.watch(self._linked)

    @property
    def link(self) -> Link:
        return self.fleet.link

    def _linked(self) -> None:
        connected = self.link.status.connected
        self.connections += connected and not self._was_connected
        self._was_connected = connected

    def _committed(self, records: list[Record]) -> None:
        for record in records:
            if isinstance(record.data, MessageRefused):
                self.refused.append(record.data.reason)
            elif isinstance(record.data, CommandStarted):
                self.started.append(record.data.id)
            elif isinstance(record.data, CommandFinished) and record.data.outcome == "expired":
                self.late.append(record.data.id)

    async def sell(self, count: int) -> None:
        for _ in range(count):
            if self.shop.state.stock.of("A1").count < 1:
                await self.shop.machine.act(cmd.FillStock("A1"), "ann")
            counts = self.hardware.changer.counts
            fits = [way for way in WAYS if all(counts[COINS.index(c)] < FULL for c in way)]
            coins = self.random.choice(fits)
            await self.shop.coins(*coins)
            await self.shop.keys("A1")
            self.taken += sum(coins)

    def told(self) -> dict[str, Any]:
        """Everything that somebody may ask for, and what is physically there."""
        journal, status, hardware = self.shop.journal, self.link.status, self.hardware
        changer = hardware.changer
        paid = self.paid + sum(COINS[type_] * count for type_, count in changer.paid)
        held = journal.state.config.held
        return {
            "journal": journal.journal_id.hex(),
            "acked": journal.acked_seq,
            "durable": journal.durable_seq,
            "phase": status.phase.value,
            "error": status.last_error,
            "connections": self.connections,
            "forks": self.forks,
            "refused": self.refused,
            "started": self.started,
            "late": self.late,
            "confirmed": journal.label.confirmed,
            "revision": held.revision,
            "credit": journal.state.credit.total,
            "ledger": {
                row.account: row.debit - row.credit
                for row in journal.state.ledger.trial_balance()
                if row.debit != row.credit
            },
            "world": {
                "tubes": changer.counts,
                "cashbox": changer.cashbox,
                "taken": self.taken,
                "paid": paid,
                "dropped": self.dropped + len(hardware.dispenser.dropped),
            },
        }

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        async with self.turn:
            await self.sell(order.get("sell", 0))
            if order.get("hurry"):
                self.link.sync_now()
            return self.told()


async def main() -> None:
    """Obey until standard input ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    little = Little(json.loads(sys.argv[1]))
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await little.turn.acquire()
    living = loop.create_task(little.live())
    try:
        while line := await reader.readline():
            obeying = loop.create_task(little.obey(json.loads(line)))
            await asyncio.wait({obeying, living}, return_when=asyncio.FIRST_COMPLETED)
            if living.done():
                living.result()
            sys.stdout.write(json.dumps(await obeying) + "\n")
            sys.stdout.flush()
    finally:
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living


if __name__ == "__main__":
    asyncio.run(main())
