"""A command runs at most once, whatever becomes of disks and servers, on every way to the fleet."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from cloud.contract import signing
from cloud.contract.commands import CommandBody
from cloud.contract.messages import Ack, Countersigned, Desired, Presence, Signed, Urgent
from cloud.contract.topics import Address
from cloud.fleet import orders, registry, reports
from cloud.fleet.broker import Connection
from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.verdict import Fate, Verdict
from cloud.fleet.now import now_ms
from cloud.fleet.worker import Worker
from cloud.link.assembly import Fleet
from cloud.link.link import Phase
from cloud.mqtt import Broker
from config.models import Cloud
from controller.clock import SystemClock
from controller.journal.envelope import Record
from controller.journal.records import CommandFinished, CommandStarted
from controller.journal.sqlite_aio import DirectoryStorage
from controller.planning import SettingsPlanner
from simulator.shop import Shop
from tests.fleet.books import known
from tests.fleet.doors import Certified, Doors
from tests.fleet.links import PLENTY_S, in_background, in_sync
from tests.fleet.little import SETTINGS
from tests.fleet.servers import Mosquitto, running
from tests.fleet.signing import DAY, ROOT, countersign, fleet_signer

MACHINE: Final = Address("acme", "lobby-1")
WANTED: Final = {"policy": {"max_credit": 2_345}}
_NAMES = count(1)


class Signs:
    """Whoever signs for the fleet."""

    def __init__(self) -> None:
        self._signer = fleet_signer(not_after=now_ms() + DAY)

    async def command(self, body: CommandBody) -> Signed:
        return self._signer.command(body)

    async def desired(self, body: Desired) -> Signed:
        return self._signer.desired(body)

    async def countersign(self, address: Address, word: Countersigned) -> Signed:
        return await countersign(address, word)


class Deaf(Ingest):
    """Hears who is there; no record comes in, or none any more."""

    hears = False

    async def take(self, address: Address, message: bytes, now_ms: int) -> Verdict:
        if self.hears:
            return await super().take(address, message, now_ms)
        return Verdict(Fate.REFUSED)

    async def take_run(self, address: Address, messages: Any, now_ms: int) -> list[Verdict]:
        return [await self.take(address, message, now_ms) for message in messages]

    async def copied(self, address: Address, copy: Urgent, now_ms: int) -> None:
        if self.hears:
            await super().copied(address, copy, now_ms)


class Dying(Ingest):
    """Dies between the first greeting, which it has noted, and its answer."""

    died = False

    async def heard(
        self, address: Address, message: Presence, now_ms: int, *, retained: bool = False
    ) -> Ack | None:
        answer = await super().heard(address, message, now_ms, retained=retained)
        if not self.died:
            self.died = True
            raise OSError("killed")
        return answer


Server = Callable[[FleetDatabase], Ingest]


class Way:
    """How a machine and its fleet reach each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def ready(self, database: FleetDatabase) -> None:
        """Have what lasts longer than any server and any disk."""

    def settings(self) -> dict[str, Any]:
        raise NotImplementedError

    def open(self, database: FleetDatabase, server: Server) -> Any:
        raise NotImplementedError


class OverMqtt(Way):
    version = 5

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.broker = Mosquitto(folder / "broker")

    def settings(self) -> dict[str, Any]:
        return {"port": self.broker.port, "tls": False, "version": self.version}

    @asynccontextmanager
    async def open(self, database: FleetDatabase, server: Server) -> AsyncIterator[None]:
        async def appeared(address: Address, connection: Connection) -> None:
            await orders.publish_open(database, connection, address, now_ms())

        outbox = orders.Outbox(database)

        async def beside(connection: Connection) -> None:
            while True:
                await outbox.publish_new(connection, now_ms())
                await asyncio.sleep(0.1)

        name = f"worker{next(_NAMES)}"
        broker = MqttBroker(Broker("127.0.0.1", self.broker.port, name))
        worker = Worker(server(database), broker, now_ms, appeared, beside)
        async with in_background(worker.run()):
            async with asyncio.timeout(PLENTY_S):
                await worker.connected.wait()
            yield


class OverMqtt311(OverMqtt):
    version = 3


class OverHttps(Way):
    certified: Certified

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Of today, as its machines' time is: those of a fixed day will have ended.
        self.doors = Doors(folder / "home", datetime.now(UTC))

    async def ready(self, database: FleetDatabase) -> None:
        self.certified = await self.doors.machine(database, MACHINE)

    def settings(self) -> dict[str, Any]:
        files = self.certified
        return {
            "transport": "https",
            "https_port": self.doors.port,
            "ca": files.ca,
            "certificate": files.certificate,
            "key": files.key,
        }

    @asynccontextmanager
    async def open(self, database: FleetDatabase, server: Server) -> AsyncIterator[None]:
        async with self.doors.open(database, now_ms=now_ms()) as (worker, _):
            worker.ingest = server(database)
            yield


WAYS: Final = {"mqtt 5": OverMqtt, "mqtt 3.1.1": OverMqtt311, "https": OverHttps}


@pytest.fixture(params=sorted(WAYS))
async def way(
    request: pytest.FixtureRequest, database: FleetDatabase, tmp_path: Path
) -> AsyncIterator[Way]:
    await known(database, MACHINE)
    made: Way = WAYS[request.param](tmp_path)
    await made.ready(database)
    if isinstance(made, OverMqtt):
        with running(made.broker):
            yield made
    else:
        yield made


class Disk:
    """A machine with a disk in it; what it says of commands."""

    fleet: Fleet

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._told: list[Record] = []
        shop.machine.on_commit.append(self._told.extend)

    def began(self, command: str) -> int:
        """Return how often a command has begun here."""
        starts = [r.data for r in self._told if isinstance(r.data, CommandStarted)]
        return [data.id for data in starts].count(command)

    async def until(self, holds: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(PLENTY_S):
                while not holds():  # noqa: ASYNC110 - the fleet is a network away
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{what}: {[r.type for r in self._told[-20:]]}") from None

    async def ends(self, command: str) -> tuple[str, int]:
        """Return how a command ended here, and how often it began."""
        await self.until(lambda: self._outcomes().get(command), command)
        return self._outcomes()[command], self.began(command)

    def _outcomes(self) -> dict[str, str]:
        ends = [r.data for r in self._told if isinstance(r.data, CommandFinished)]
        return {data.id: data.outcome for data in ends}

    @property
    def revision(self) -> int:
        return self.shop.state.config.held.revision


@asynccontextmanager
async def disk(way: Way, name: str, *, ntp: bool = False) -> AsyncIterator[Disk]:
    """Put a disk of this name into the machine and start it, until the block ends."""
    folder = way.folder / name
    folder.mkdir(exist_ok=True)
    shop = await Shop.open(
        DirectoryStorage(folder),
        SystemClock(),
        planner=SettingsPlanner(SETTINGS, aside=False),
        entropy=os.urandom,
    )
    made = Disk(shop)
    try:
        if ntp:
            shop.machine.desk.confirm_time("ntp")
        settings = Cloud.model_validate(
            {
                "tenant": "acme",
                "host": "localhost",
                "root_key": signing.public_of(ROOT).hex(),
                **way.settings(),
            }
        )
        (folder / "cloud").mkdir(exist_ok=True)
        fleet = Fleet(
            settings, MACHINE.machine, shop.machine, SystemClock(), os.urandom, "0.1.0",
            lambda *_: None, folder / "cloud",
        )  # fmt: skip
        made.fleet = fleet
        async with in_background(fleet.run()):
            yield made
    finally:
        await shop.stop()


async def sent(database: FleetDatabase) -> str:
    id_ = f"c{next(_NAMES)}"
    await orders.send(
        database, Signs(), MACHINE, "echo", {"text": id_},
        command_id=id_, issuer="anna", now_ms=now_ms(),
    )  # fmt: skip
    return id_


async def outcome(database: FleetDatabase, command: str) -> str:
    async with asyncio.timeout(PLENTY_S):
        while True:
            (line,) = await reports.commands(database, command_id=command)
            if line["outcome"]:
                return str(line["outcome"])
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("ntp", [False, True], ids=["no time", "ntp"])
async def test_what_ran_on_a_disk_that_is_gone_runs_on_no_other_one(
    database: FleetDatabase, way: Way, *, ntp: bool
) -> None:
    """Nothing of what it ran ever came. Its clock may have been right."""
    await orders.set_desired(
        database, Signs(), MACHINE, dict(WANTED), issuer="anna", now_ms=now_ms()
    )
    server = Deaf(database)
    server.hears = True
    async with way.open(database, lambda _: server), disk(way, "first", ntp=ntp) as first:
        await first.until(lambda: first.revision == 1, "configured")
        await in_sync(first.fleet.link)
        server.hears = False
        early = await sent(database)
        assert await first.ends(early) == ("done", 1), "its first start"

    async with way.open(database, Ingest), disk(way, "empty", ntp=ntp) as empty:
        await in_sync(empty.fleet.link)
        uid = empty.shop.journal.journal_id
    await registry.adopt_journal(database, MACHINE, uid, now_ms())
    # It hears of that when it greets next: at once here, else within a minute.
    async with way.open(database, Ingest), disk(way, "empty", ntp=ntp) as empty:
        assert await empty.ends(early) == ("refused", 0)
        await empty.until(lambda: empty.revision == 1, "a configuration is no command")
        assert await outcome(database, early) == "refused"
        later = await sent(database)
        assert await empty.ends(later) == ("done", 1)
        assert await outcome(database, later) == "done"


async def test_of_a_disk_and_its_copy_only_one_takes_a_command(
    database: FleetDatabase, way: Way
) -> None:
    """As they start both show the same chain; so does a disk that is set back to that image."""
    async with way.open(database, Ingest), disk(way, "first") as first:
        await in_sync(first.fleet.link)
    shutil.copytree(way.folder / "first", way.folder / "copy")
    command = await sent(database)
    async with way.open(database, Deaf), disk(way, "first") as first:
        await first.until(
            lambda: len(first.fleet._inbox) or first.began(command), "it hears the command"
        )
        # What is sent behind it is there, so the command has had its turn.
        await orders.set_desired(
            database, Signs(), MACHINE, dict(WANTED), issuer="anna", now_ms=now_ms()
        )
        await first.until(lambda: first.revision == 1, "configured")
        assert first.began(command) == 0, "nothing that the fleet has tells it from its copy"
    async with way.open(database, Ingest):
        async with disk(way, "copy") as copy:
            assert await copy.ends(command) == ("done", 1)
            assert await outcome(database, command) == "done"
        async with disk(way, "first") as first:
            await first.until(lambda: first.fleet.link.status.phase is Phase.FORKED, "it is told")
            assert first.began(command) == 0


async def test_of_two_machines_with_one_name_only_the_one_in_use_takes_commands(
    database: FleetDatabase, way: Way
) -> None:
    async with way.open(database, Ingest):
        async with disk(way, "first") as first:
            before = await sent(database)
            assert await first.ends(before) == ("done", 1)
            assert await outcome(database, before) == "done"
        async with disk(way, "twin") as twin:
            await in_sync(twin.fleet.link)
            for_another = await sent(database)
            await twin.until(lambda: len(twin.fleet._inbox), "it hears the command")
            assert twin.began(for_another) == 0
        async with disk(way, "first") as first:
            assert await first.ends(for_another) == ("done", 1)
            assert await outcome(database, for_another) == "done"
        async with disk(way, "twin") as twin:
            uid = twin.shop.journal.journal_id
            await registry.adopt_journal(database, MACHINE, uid, now_ms())
            now = await sent(database)
            assert await twin.ends(now) == ("done", 1)
            assert (twin.began(before), twin.began(for_another)) == (0, 0)


async def test_a_server_that_dies_between_a_greeting_and_its_answer_has_commands_wait_for_it(
    database: FleetDatabase, way: Way
) -> None:
    early = await sent(database)
    dying = Dying(database)
    async with way.open(database, lambda _: dying), disk(way, "first") as machine:
        assert await machine.ends(early) == ("done", 1)
        assert dying.died
        assert await outcome(database, early) == "done"
        assert machine.began(early) == 1
