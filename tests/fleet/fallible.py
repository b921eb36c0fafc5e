"""Machines as processes, on disks that come and go, and their lines to a real server."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from cloud.contract.batch import pack
from cloud.contract.journal import GENESIS
from cloud.contract.topics import Address
from cloud.fleet.home import Home
from cloud.mqtt import MqttError
from tests.fleet.crew import PLENTY_S, Crew
from tests.fleet.proxy import Proxy

LIMIT: Final = 1 << 22  # of an answer
Rows = list[tuple[int, int, bytes, bytes]]
_NUMBERS = count(1)


def journals_on(folder: Path) -> dict[bytes, Rows]:
    """Every journal on a disk, as (seq, boot, body, hash); the disk is copied, not touched."""
    found: dict[bytes, Rows] = {}
    aside = folder.with_name(f"{folder.name}-read{next(_NUMBERS)}")
    shutil.copytree(folder, aside)
    for path in aside.glob("journal-*.db"):
        with closing(sqlite3.connect(path)) as database:
            ((uid,),) = database.execute("SELECT id FROM journal").fetchall()
            query = "SELECT seq, boot, body, hash FROM record ORDER BY seq"
            found[bytes(uid)] = [
                (seq, boot, bytes(body), bytes(digest))
                for seq, boot, body, digest in database.execute(query)
            ]
    shutil.rmtree(aside)
    return found


def batches_of(journal: bytes, rows: Rows, after: int, size: int) -> Iterator[bytes]:
    """The records behind ``after`` as the machine would send them, a few at a time."""
    for first in range(after, len(rows), size):
        part = rows[first : first + size]
        before = rows[first - 1][3] if first else GENESIS
        yield pack(journal, part, before, nonce=f"again{next(_NUMBERS)}")


class Machine:
    """One machine: its process, its disk, its line, and what is physically in it.

    Args:
        crew: Its server.
        address: Its name there.
        folder: Where its disks are.
        seed: Draws its customers.
        five: MQTT 5; else 3.1.1.
    """

    def __init__(
        self, crew: Crew, address: Address, folder: Path, seed: int, *, five: bool = True
    ) -> None:
        self.crew = crew
        self.address = address
        self.name = address.machine
        self.folder = folder
        self.disk = folder / "disk0"
        self.lost: list[Path] = []  # disks that are in no machine any more
        self.proxy = Proxy(crew.broker.port)
        self.told: dict[str, Any] = {}
        self.off_s = 0.0
        self.connections = 0  # of all its processes
        self._seed = seed
        self._five = five
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        folder.mkdir()

    async def start(self) -> None:
        certificate, key = Home(self.crew.home).machine_files(self.address)
        options = {
            "name": self.name,
            "folder": str(self.disk),
            "port": self.proxy.port,
            "ca": str(self.crew.home / "tls" / "ca.pem"),
            "certificate": str(certificate),
            "key": str(key),
            "root_key": self.crew.made["root_key"],
            "version": 5 if self._five else 3,
            "off_s": self.off_s,
            "seed": self._seed,
            "world": self.told.get("world", {}),
        }
        with (self.folder / "log").open("ab") as words:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.fleet.little", json.dumps(options),
                stdin=PIPE, stdout=PIPE, stderr=words, process_group=0, limit=LIMIT,
            )  # fmt: skip
        await self.ask()

    async def ask(self, **order: Any) -> dict[str, Any]:
        """Have it do something; what it says then."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        async with self._turn, asyncio.timeout(PLENTY_S):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            line = await process.stdout.readline()
        assert line, f"{self.name} has ended:\n{(self.folder / 'log').read_text()[-3_000:]}"
        self.told = json.loads(line)
        return self.told

    async def sell(self, count: int) -> None:
        await self.ask(sell=count)

    async def kill(self) -> None:
        """SIGKILL, when no customer is at it: what is there is known."""
        process, self._process = self._process, None
        if process is not None:
            self.connections += self.told.get("connections", 0)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    @property
    def connected(self) -> int:
        """How often it has connected, in all its lives."""
        running = 0 if self._process is None else self.told["connections"]
        return self.connections + int(running)

    async def until(self, holds: Any, why: str) -> dict[str, Any]:
        """Wait until what it says holds; it is in a hurry meanwhile."""
        try:
            async with asyncio.timeout(PLENTY_S):
                while not holds(await self.ask(hurry=True)):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.3)
        except TimeoutError:
            raise AssertionError(f"{self.name}: {why}: {self.told}") from None
        return self.told

    async def in_sync(self) -> None:
        await self.until(
            lambda told: told["phase"] == "in sync" and told["acked"] == told["durable"], "in sync"
        )

    async def reconnected(self, before: int) -> None:
        await self.until(lambda _: self.connected > before, f"connects for the {before + 1}. time")

    # ------------------------------------------------------------------------------ its disks

    def image(self) -> Path:
        """A copy of its disk as it is now."""
        made = self.folder / f"image{next(_NUMBERS)}"
        shutil.copytree(self.disk, made)
        return made

    def put_in(self, disk: Path | None) -> None:
        """Put another disk in, an empty one or a copy of ``disk``; its own is lost."""
        self.lost.append(self.disk)
        self.disk = self.folder / f"disk{next(_NUMBERS)}"
        if disk is not None:
            shutil.copytree(disk, self.disk)

    def rows(self) -> Rows:
        """The records of the journal in use."""
        return journals_on(self.disk)[bytes.fromhex(self.told["journal"])]

    def clock_of(self, year: int) -> None:
        """Its next start finds this year on the clock."""
        now = datetime.now(UTC)
        self.off_s = (now.replace(year=year, day=min(now.day, 28)) - now).total_seconds()


async def said(client: Any, address: Address, topic: Any, payload: bytes) -> bool:
    """Publish; False when the broker did not take it."""
    try:
        await client.say(address.topic(topic), payload)
    except MqttError:
        return False
    return True
