"""Every fault between machines and their fleet, each with the sign that it has struck."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any, Final, Protocol

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from cloud.contract.commands import CommandBody
from cloud.contract.messages import Signed, read
from cloud.contract.topics import Address, Topic
from cloud.fleet import alerts, orders, registry
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home
from cloud.fleet.now import now_ms
from cloud.fleet.reach import broker_of
from cloud.fleet.signatory import signatory_of
from cloud.fleet.signer import keys_of
from cloud.mqtt import StrictClient
from config.fleet import load
from tests.fleet.crew import Crew, Process, until
from tests.fleet.fallible import Machine, batches_of, said

Fault = Callable[[], Awaitable[None]]
_NUMBERS: Final = count(1)
SLOW_S: Final = 0.4  # each way


class Store(Protocol):
    """The server's database, as far as it can break; nobody is connected when it is copied."""

    serves: bool  # a server of its own, with a disk of its own

    def stop(self) -> None: ...
    def start(self) -> None: ...
    def copy(self) -> None: ...
    def put_back(self) -> None: ...
    def fill(self) -> None: ...
    def is_full(self) -> bool: ...
    def free(self) -> None: ...


class Calamities:
    """All of them, over one server and its machines.

    Args:
        crew: The server.
        store: Its database.
        database: Our own way to it.
        machines: Disks are lost of all but the last.
        chance: Draws whom it strikes.
    """

    def __init__(
        self,
        crew: Crew,
        store: Store,
        database: FleetDatabase,
        machines: list[Machine],
        chance: random.Random,
    ) -> None:
        self.crew = crew
        self.store = store
        self.database = database
        self.machines = machines
        self.chance = chance
        self.twins: list[Machine] = []
        self.struck: dict[str, int] = {}
        self.commands: list[tuple[Address, bytes]] = []  # each that was ever good
        self.home = Home(crew.home)
        self.settings = load(self.home.config)
        self.signatory = signatory_of(self.settings.signer, self.home, now_ms)

    def all(self) -> list[Fault]:
        """Every fault that this server can have."""
        of_servers = [self.database_restarted, self.disk_of_the_server_full]
        return [
            *(of_servers if self.store.serves else ()),
            self.broker_killed_with_its_memory,
            self.broker_killed_without_its_memory,
            self.one_worker_killed_with_a_batch_in_its_hands,
            self.whole_server_killed_in_mid_batch,
            self.database_lost_what_the_broker_took,
            self.line_partitioned,
            self.line_delayed,
            self.batches_twice_and_in_another_order,
            self.machine_killed_in_mid_upload,
            self.disk_replaced,
            self.disk_rolled_back,
            self.disk_rolled_back_and_sold_on,
            self.disk_cloned_into_another_machine,
            self.clock_in_1970,
            self.clock_ten_years_ahead,
            self.two_machines_with_one_identity,
            self.bad_batches,
            self.configuration_pushed_over_reconnects,
            self.commands_forged_replayed_expired_and_foreign,
        ]

    def strikes(self, name: str, times: int) -> None:
        assert times > 0, f"{name} did not strike"
        self.struck[name] = self.struck.get(name, 0) + times

    # --------------------------------------------------------------------------------- helpers

    def any(self, *, mortal: bool = False) -> Machine:
        return self.chance.choice(self.machines[:-1] if mortal else self.machines)

    async def everybody_sells(self, most: int = 5) -> None:
        for machine in self.machines:
            await machine.sell(self.chance.randrange(1, most))

    async def in_sync(self, *machines: Machine) -> None:
        for machine in machines or self.machines:
            await machine.in_sync()

    async def count(self, query: Any) -> int:
        async with self.database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def records(self) -> int:
        return await self.count(select(func.count()).select_from(t.record))

    async def journals(self) -> int:
        return await self.count(select(func.count()).select_from(t.journal))

    async def raised(self, cause: str) -> int:
        """How often an alert was raised, closed or not."""
        return await self.count(
            select(func.count()).select_from(t.alert).where(t.alert.c.cause == cause)
        )

    async def adopted(self, machine: Machine, before: str) -> None:
        """Wait until a machine is in sync with another journal, and have that count."""
        await machine.until(lambda told: told["journal"] != before, "another journal begins")
        await machine.in_sync()
        uid = bytes.fromhex(machine.told["journal"])
        await registry.adopt_journal(self.database, machine.address, uid, now_ms())
        await machine.sell(1)
        await machine.in_sync()

    def lost(self) -> int:
        """How often workers have lost their broker or their database."""
        return sum(worker.said().count('"event": "lost"') for worker in self.workers)

    def waited(self) -> int:
        """How many batches came ahead of a gap."""
        return sum(worker.said().count('"fate": "waiting"') for worker in self.workers)

    @property
    def workers(self) -> list[Process]:
        return list(self.crew.workers.values())

    async def start_again(self, *workers: Process) -> None:
        for worker in workers:
            worker.start()
        for worker in workers:
            await worker.ready()

    def shell(self) -> StrictClient:
        """The server's own way to the broker, which may say anything to a machine."""
        name = f"shell-{next(_NUMBERS)}"
        return StrictClient(broker_of(self.settings, self.home, name, keep_session=False))

    def thief(self, machine: Machine) -> StrictClient:
        """Somebody who has a machine's certificate, and another name."""
        return StrictClient(self.crew.reach(machine.address, identifier=f"t{next(_NUMBERS)}"))

    # ---------------------------------------------------------------------------------- broker

    async def broker_killed_with_its_memory(self) -> None:
        await self._broker_killed(memory=True)

    async def broker_killed_without_its_memory(self) -> None:
        await self._broker_killed(memory=False)

    async def _broker_killed(self, *, memory: bool) -> None:
        await self.in_sync()
        before = [machine.connected for machine in self.machines]
        await self.everybody_sells()
        self.crew.broker.kill()
        self.crew.remember(memory)
        await self.everybody_sells()
        await asyncio.to_thread(self.crew.broker.start)
        for machine, times in zip(self.machines, before, strict=True):
            await machine.reconnected(times)
        name = f"broker killed {'with' if memory else 'without'} its memory"
        self.strikes(name, sum(machine.connected for machine in self.machines) - sum(before))
        for worker in self.workers:
            await worker.ready()

    # ---------------------------------------------------------------------------------- server

    async def one_worker_killed_with_a_batch_in_its_hands(self) -> None:
        name = self.chance.choice(sorted(self.crew.workers))
        self.strikes("one of them killed with a batch in its hands", await self._struck_down(name))

    async def whole_server_killed_in_mid_batch(self) -> None:
        held = await self._struck_down(*self.crew.workers)
        self.strikes("the whole server killed in mid batch", held)

    async def _struck_down(self, *names: str) -> int:
        """Stop some, wait until the broker has given each a batch, and kill them."""
        doomed = [self.crew.workers[name] for name in names]
        await self.in_sync()
        before = {name: self.crew.given(name, "events") for name in names}
        for worker in doomed:
            worker.signal(signal.SIGSTOP)

        async def holds() -> bool:
            await self.everybody_sells(3)
            return all(self.crew.given(name, "events") > before[name] for name in names)

        await until(holds, "each has a batch in its hands")
        held = sum(self.crew.given(name, "events") - before[name] for name in names)
        for worker in doomed:
            await asyncio.to_thread(worker.kill)
        await self.everybody_sells()
        await self.start_again(*doomed)
        return held

    async def database_restarted(self) -> None:
        before = self.lost()
        await asyncio.to_thread(self.store.stop)

        async def missed() -> bool:
            await self.everybody_sells(3)
            return self.lost() > before

        await until(missed, "somebody misses the database")
        await self.database_back()
        self.strikes("database restarted", self.lost() - before)

    async def database_back(self) -> None:
        """Start it, again if it ends by itself, until it answers."""

        async def answers() -> bool:
            await asyncio.to_thread(self.store.start)
            with suppress(SQLAlchemyError, OSError):
                return await self.database.alive()
            return False

        await until(answers, "the database is back")

    async def database_lost_what_the_broker_took(self) -> None:
        """A copy is put back: what was acknowledged since is not there any more."""
        await self.in_sync()
        workers = self.workers

        async def with_nobody(work: Callable[[], None]) -> None:
            for worker in workers:
                await asyncio.to_thread(worker.kill)
            await self.database.close()
            await asyncio.to_thread(work)
            await self.start_again(*workers)

        await with_nobody(self.store.copy)
        await self.everybody_sells()
        await self.in_sync()
        had = await self.records()
        await with_nobody(self.store.put_back)
        self.strikes("database lost records", had - await self.records())
        await self.everybody_sells()
        await self.in_sync()
        assert await self.records() > had

    async def disk_of_the_server_full(self) -> None:
        await asyncio.to_thread(self.store.fill)

        async def full() -> bool:
            await self.everybody_sells(8)
            return self.store.is_full()

        await until(full, "the disk refuses")
        machine = max(self.machines, key=lambda one: one.told["durable"] - one.told["acked"])
        waits = (await machine.ask())["durable"] - machine.told["acked"]
        self.strikes("disk of the server full", waits)
        await asyncio.to_thread(self.store.free)
        await self.database_back()

    # --------------------------------------------------------------------------------- network

    async def line_partitioned(self) -> None:
        """Nothing comes through, and nobody is told; then the line is cut."""
        machine = self.any()
        await machine.in_sync()
        before = machine.connected
        machine.proxy.silent = True
        await machine.sell(3)
        await self.in_sync(*(other for other in self.machines if other is not machine))
        await machine.ask()
        self.strikes("line partitioned", machine.told["durable"] - machine.told["acked"])
        machine.proxy.silent = False
        machine.proxy.cut()
        machine.proxy.mend()
        await machine.reconnected(before)

    async def line_delayed(self) -> None:
        machine = self.any()
        await machine.in_sync()
        machine.proxy.delay_s = SLOW_S
        began = asyncio.get_running_loop().time()
        await machine.sell(1)
        await machine.in_sync()
        took = asyncio.get_running_loop().time() - began
        machine.proxy.delay_s = 0.0
        self.strikes("line delayed", int(took >= 2 * SLOW_S))

    async def batches_twice_and_in_another_order(self) -> None:
        """A network that does so: what the machine would send comes before it connects again."""
        machine = self.any()
        await machine.in_sync()
        acked, waited = machine.told["acked"], self.waited()
        given = sum(self.crew.given(name, "events") for name in self.crew.workers)
        machine.proxy.cut()
        await machine.sell(6)
        journal = bytes.fromhex(machine.told["journal"])
        parts = list(batches_of(journal, machine.rows(), acked, 7))
        twice = [*reversed(parts), *parts, *self.chance.sample(parts, len(parts))]
        async with self.thief(machine) as client:
            for message in twice:
                assert await said(client, machine.address, Topic.EVENTS, message)
        await until(lambda: self.waited() > waited, "some come ahead of a gap")
        self.strikes("batches in another order", self.waited() - waited)
        machine.proxy.mend()
        await machine.in_sync()
        now = sum(self.crew.given(name, "events") for name in self.crew.workers)
        self.strikes("batches twice", now - given - len(parts))

    # -------------------------------------------------------------------------------- machines

    async def machine_killed_in_mid_upload(self) -> None:
        machine = self.any()
        await machine.in_sync()
        machine.proxy.bytes_per_s = 500.0
        up = machine.proxy.up
        await machine.sell(25)
        await until(lambda: machine.proxy.up > up, "it uploads")
        await machine.ask()
        left = machine.told["durable"] - machine.told["acked"]
        await machine.kill()
        machine.proxy.bytes_per_s = None
        self.strikes("machine killed in mid upload", left)
        await machine.start()

    async def disk_replaced(self) -> None:
        machine = self.any(mortal=True)
        await self._sent(machine.address)  # its id is on no other disk
        await machine.in_sync()
        before, had = machine.told["journal"], await self.journals()
        await machine.kill()
        machine.put_in(None)
        await machine.start()
        await machine.sell(2)
        await self.adopted(machine, before)
        self.strikes("disk replaced", await self.journals() - had)

    async def disk_rolled_back(self) -> None:
        await self._rolled_back(sells=0)

    async def disk_rolled_back_and_sold_on(self) -> None:
        machine = await self._rolled_back(sells=3)
        carried = sum(b'"type":"record.carried"' in body for _, _, body, _ in machine.rows())
        self.strikes("records carried into the next journal", carried)

    async def _rolled_back(self, *, sells: int) -> Machine:
        machine = self.any(mortal=True)
        await machine.in_sync()
        await machine.kill()
        image = machine.image()
        await machine.start()
        await self._sent(machine.address)  # its id is not on the image
        await machine.sell(3)
        await machine.in_sync()
        before = machine.told["journal"]
        await machine.kill()
        machine.put_in(image)
        machine.proxy.cut()
        await machine.start()
        await machine.sell(sells)
        assert machine.told["connections"] == 0
        machine.proxy.mend()
        await self.adopted(machine, before)
        words = "and sold on" if sells else "at once"
        self.strikes(f"disk rolled back {words}", len(machine.told["forks"]))
        return machine

    async def disk_cloned_into_another_machine(self) -> None:
        one, other = self.machines[:2]
        await self.in_sync(one, other)
        foreign = await self.raised(alerts.FOREIGN)
        await one.kill()
        image = one.image()
        await one.start()
        await other.kill()
        other.put_in(image)
        other.proxy.cut()
        await other.start()
        before = other.told["journal"]
        assert before == one.told["journal"], "it is a copy"
        await other.sell(3)
        await one.sell(3)
        other.proxy.mend()
        await self.adopted(other, before)
        await one.in_sync()
        assert one.told["journal"] == before, "the other one goes on undisturbed"
        self.strikes("disk cloned", await self.raised(alerts.FOREIGN) - foreign)

    async def clock_in_1970(self) -> None:
        await self._wrong_clock(1970)

    async def clock_ten_years_ahead(self) -> None:
        await self._wrong_clock(2036)

    async def _wrong_clock(self, year: int) -> None:
        machine = self.any()
        await machine.kill()
        machine.clock_of(year)
        machine.proxy.cut()
        await machine.start()
        await machine.sell(2)
        self.strikes(f"clock in {year}", int(not machine.told["confirmed"]))
        machine.proxy.mend()
        await machine.until(lambda told: told["confirmed"], "it has the fleet's time")

    async def two_machines_with_one_identity(self) -> None:
        machine = self.any()
        await machine.in_sync()
        before = machine.connected
        folder = machine.folder.with_name(f"{machine.name}-twin{next(_NUMBERS)}")
        twin = Machine(self.crew, machine.address, folder, 99)
        self.twins.append(twin)
        async with twin.proxy:
            await twin.start()
            sent = []
            for _ in range(3):
                await twin.sell(1)
                sent.append((await self._ordered(machine.address))[0])
                await machine.sell(1)
            await twin.in_sync()
            await machine.reconnected(before)
            await machine.in_sync()
            await twin.in_sync()
            self.strikes("two of one identity", min(twin.connected, machine.connected - before))
            await twin.kill()
        await machine.until(lambda told: set(sent) <= set(told["started"]), "it runs them, alone")

    # ------------------------------------------------------------------------- what is no batch

    async def bad_batches(self) -> None:
        """Ten megabytes, a newer version, one byte changed, garbage: the third is too much."""
        machine = self.any()
        await machine.in_sync()
        acked, quarantined = machine.told["acked"], await self.raised(alerts.QUARANTINED)
        machine.proxy.cut()
        await machine.sell(2)
        journal = bytes.fromhex(machine.told["journal"])
        (good,) = batches_of(journal, machine.rows(), acked, 500)
        # What names no journal counts for none where the machine was seen with another disk.
        wrong = (
            (good.replace(b'"v":1', b'"v":9', 1), "v: Input should be 1"),
            (b"{}\n", "journal: Field required"),
            *((changed(good, place), "record") for place in (-20, -20)),
        )
        async with self.thief(machine) as client:
            taken = await said(client, machine.address, Topic.EVENTS, bytes(10_000_000))
        assert not taken, "the broker refuses what is too long for any batch"
        before = await self.count(select(func.count()).select_from(t.dead_letter))
        async with self.thief(machine) as client:
            for message, _ in wrong:
                assert await said(client, machine.address, Topic.EVENTS, message)

        letters = select(func.count()).select_from(t.dead_letter)

        async def told() -> bool:
            kept = await self.count(letters) - before
            return kept >= len(wrong) and await self.raised(alerts.QUARANTINED) > quarantined

        await until(told, "the third in a row puts its journal into quarantine")
        async with self.database.reading() as connection:
            query = select(t.dead_letter.c.reason).order_by(t.dead_letter.c.id).offset(before)
            reasons = list((await connection.execute(query)).scalars())
        for _, why in wrong:
            assert any(why in reason for reason in reasons), (why, reasons)
        machine.proxy.mend()
        await machine.until(lambda told: told["phase"] == "quarantined", "it is told so")
        held = machine.told["durable"] - machine.told["acked"]
        await registry.release(self.database, journal, now_ms())
        await machine.in_sync()
        self.strikes("bad batches", len(reasons))
        self.strikes("records held in quarantine", held)

    # ----------------------------------------------------------------------------- what comes down

    async def configuration_pushed_over_reconnects(self) -> None:
        machine = self.any()
        revision = 0
        for _ in range(4):
            wanted: dict[str, object] = {
                "policy": {"max_credit": self.chance.randrange(2_000, 5_000)}
            }
            revision = await orders.set_desired(
                self.database, self.signatory, machine.address, wanted, issuer="anna",
                now_ms=now_ms(),
            )  # fmt: skip
            match self.chance.randrange(4):
                case 0:
                    machine.proxy.cut()
                    await machine.sell(1)
                    machine.proxy.mend()
                case 1:
                    await machine.restart()
                case 2:
                    await machine.sell(2)
                case _:
                    await asyncio.sleep(0)
        await machine.until(lambda told: told["revision"] == revision, "the newest holds")
        self.strikes("configuration pushed", revision)

    async def commands_forged_replayed_expired_and_foreign(self) -> None:
        machine, other = self.chance.sample(self.machines, 2)
        await self.in_sync(machine, other)
        refused = len(machine.told["refused"])
        good = await self._sent(machine.address)
        foreign = await self._sent(other.address)
        signed = read(Signed, good)
        forged = signed.model_copy(update={"sig": signed.sig[::-1]})
        now = now_ms()
        late = CommandBody(
            tenant="acme", machine=machine.name, id=f"late{next(_NUMBERS)}", counter=1,
            kind="echo", args={"text": "late"}, issued_at=now - 7_200_000,
            expires_at=now - 3_600_000, issuer="anna",
        )  # fmt: skip
        (key, *_) = keys_of(self.home.keys, "acme")
        messages = [good, forged.to_bytes(), key.command(late).to_bytes(), foreign, good]
        self.chance.shuffle(messages)
        async with self.shell() as client:
            for message in messages:
                assert await said(client, machine.address, Topic.CMD, message)
        told = await machine.until(
            lambda told: len(told["refused"]) > refused and late.id in told["late"],
            "it refuses what is forged, foreign or late, with a record",
        )
        self.strikes("commands refused", len(told["refused"]) - refused)
        self.strikes("commands too late", told["late"].count(late.id))
        self.strikes("commands replayed", messages.count(good))

    async def _sent(self, address: Address) -> bytes:
        """A command that the fleet signs, and its machine carries out."""
        id_, message = await self._ordered(address)

        async def answered() -> bool:
            query = select(t.command.c.outcome).where(t.command.c.id == id_)
            async with self.database.reading() as connection:
                return bool((await connection.execute(query)).scalar_one() == "done")

        await until(answered, f"{id_} was carried out")
        return message

    async def _ordered(self, address: Address) -> tuple[str, bytes]:
        """A command that the fleet signs and publishes."""
        id_ = f"c{next(_NUMBERS)}"
        order = await orders.send(
            self.database, self.signatory, address, "echo", {"text": "here"},
            command_id=id_, issuer="anna", now_ms=now_ms(),
        )  # fmt: skip
        self.commands.append((address, order.message))
        return id_, order.message

    async def everything_again(self) -> None:
        """Each command that was ever good comes once more."""
        async with self.shell() as client:
            for address, message in self.commands:
                assert await said(client, address, Topic.CMD, message)
        for machine in self.machines:
            await self._sent(machine.address)  # taken behind those


def changed(message: bytes, place: int) -> bytes:
    """A message with one bit of one byte changed."""
    raw = bytearray(message)
    raw[place] ^= 1
    return bytes(raw)
