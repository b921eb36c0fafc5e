"""What is urgent overtakes the backlog, is told of at once, and is told of once."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from cloud.contract.journal import records as rec
from cloud.contract.messages import Urgent
from cloud.contract.topics import Address
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.verdict import Verdict
from cloud.fleet.projections.episodes import of_claim, of_fault
from cloud.fleet.projections.rebuild import rebuild
from cloud.fleet.registry import adopt_journal
from cloud.fleet.worker import Worker
from cloud.link.lane import BACKLOG, KEPT
from cloud.mqtt import Broker
from controller.journal.store import Journal
from controller.state.state import State
from tests.fleet.books import known, sell_many
from tests.fleet.links import in_background, in_sync, link_of, linked, over_mqtt
from tests.fleet.machines import START, Machine, register
from tests.fleet.servers import Mosquitto

LOBBY = Address("acme", "lobby-1")
JAM = rec.FaultRaised(part="A1", code="column.jammed", detail="stood still")
FREE = rec.FaultCleared(part="A1", code="column.jammed")
FAULT = of_fault("A1", "column.jammed")
CLAIM = rec.ClaimOpened(code="1" * 20, amount=150, tender="cash", reason="jam", lots=())


class Watched(Ingest):
    """Notes in which order what came, and which alerts were open when a batch came."""

    def __init__(self, database: FleetDatabase) -> None:
        super().__init__(database)
        self.copied_seqs: list[int] = []
        self.open_at_first_batch: set[str] | None = None

    async def copied(self, address: Address, copy: Urgent, now_ms: int) -> None:
        await super().copied(address, copy, now_ms)
        self.copied_seqs.append(copy.seq)

    async def take_run(
        self, address: Address, messages: Sequence[bytes], now_ms: int
    ) -> list[Verdict]:
        await self._note()
        return await super().take_run(address, messages, now_ms)

    async def take(self, address: Address, message: bytes, now_ms: int) -> Verdict:
        await self._note()
        return await super().take(address, message, now_ms)

    async def _note(self) -> None:
        if self.open_at_first_batch is None:
            async with self.database.reading() as connection:
                self.open_at_first_batch = await alerts.open_causes(connection, 1)


async def told(database: FleetDatabase) -> list[tuple[str, int, bool]]:
    async with database.reading() as connection:
        rows = await connection.execute(
            select(t.alert.c.cause, t.alert.c.seq, t.alert.c.closed_ms).order_by(t.alert.c.seq)
        )
        return [(row.cause, row.seq, row.closed_ms is None) for row in rows]


@pytest.mark.parametrize("restarted", [False, True], ids=["offline", "offline and restarted"])
async def test_what_is_urgent_overtakes_the_backlog_also_behind_a_restart(
    database: FleetDatabase, server: Mosquitto, books: Journal[State], restarted: bool
) -> None:
    await known(database, LOBBY)
    link = link_of(books, over_mqtt(server.port, LOBBY))
    await sell_many(books, 200)
    link.grown()
    assert books.durable_seq > 2 * BACKLOG
    raised = books.stage(JAM)
    await books.commit()
    link.grown([(raised.seq, raised.boot, raised.body)])
    await sell_many(books, 200)
    if restarted:
        link = link_of(
            books, over_mqtt(server.port, LOBBY)
        )  # another life: nothing of the one before is in memory
    ingest = Watched(database)
    worker = Worker(ingest, MqttBroker(Broker("127.0.0.1", server.port, "w")), lambda: START)

    async with in_background(worker.run()):
        async with asyncio.timeout(60):
            await worker.connected.wait()
        async with linked(link):
            await in_sync(link)
            assert ingest.copied_seqs == [raised.seq]
            assert ingest.open_at_first_batch == {FAULT}, "told of before any record came"
            assert await told(database) == [(FAULT, raised.seq, True)], "and once"
            books.stage(FREE)
            await books.commit()
            link.grown()
            await in_sync(link)
            # Before the link ends: that it is offline then is told of as well, sooner or later.
            assert await told(database) == [(FAULT, raised.seq, False)]

    async with database.reading() as connection:
        assert [row.confirmed for row in await connection.execute(select(t.urgent_copy))] == [True]
        assert not (await connection.execute(select(t.journal.c.quarantine))).scalar_one()


async def test_after_a_restart_the_newest_ones_are_found_and_no_more_than_are_kept(
    database: FleetDatabase, server: Mosquitto, books: Journal[State]
) -> None:
    await known(database, LOBBY)
    urgent = []
    for _ in range(KEPT + 20):
        urgent += [books.stage(JAM).seq]
        books.stage(FREE)
        await sell_many(books, 2)
    ingest = Watched(database)
    worker = Worker(ingest, MqttBroker(Broker("127.0.0.1", server.port, "w")), lambda: START)
    link = link_of(books, over_mqtt(server.port, LOBBY))
    link.grown()

    async with in_background(worker.run()):
        async with asyncio.timeout(60):
            await worker.connected.wait()
        async with linked(link):
            await in_sync(link)
            # Before the link ends: that it is offline then is told of as well, sooner or later.
            healed = await told(database)

    assert ingest.copied_seqs == urgent[-KEPT:]
    assert healed == [(FAULT, seq, False) for seq in urgent], "each once, and healed"


def copy_of(machine: Machine, seq: int, body: bytes = b"") -> Urgent:
    _, boot, raw, _ = machine.rows[seq - 1]
    return Urgent(journal=machine.journal.hex(), seq=seq, boot=boot, body=body or raw)


def troubled() -> tuple[Machine, list[int], int]:
    """A machine with two jams and a claim far behind its beginning."""
    machine = Machine()
    machine.begin()
    machine.sell()
    jams = [machine.write(JAM)]
    machine.sell()
    machine.write(FREE)
    jams += [machine.write(JAM)]
    claim = machine.write(CLAIM)
    machine.sell()
    return machine, jams, claim


@pytest.mark.parametrize("ahead", [[0, 1], [1], [1, 0], []])
@pytest.mark.parametrize("size", [1, 6, 1_000])
async def test_a_copy_raises_the_alert_of_its_record_and_the_record_no_other_one(
    database: FleetDatabase, ahead: list[int], size: int
) -> None:
    machine, jams, claim = troubled()
    owed = of_claim(machine.journal.hex(), claim)
    await register(database, machine)
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, 3), START)
    for index in ahead:
        await ingest.copied(machine.address, copy_of(machine, jams[index]), START)
        assert FAULT in {cause for cause, _, is_open in await told(database) if is_open}
    await ingest.copied(machine.address, copy_of(machine, claim), START)
    assert (owed, claim, True) in await told(database)

    for first in range(4, machine.seq + 1, size):
        last = min(first + size - 1, machine.seq)
        await ingest.take(machine.address, machine.batch(first, last), START)
    await ingest.copied(machine.address, copy_of(machine, jams[1]), START)

    known_now = [(FAULT, jams[0], False), (FAULT, jams[1], True), (owed, claim, True)]
    assert await told(database) == known_now
    await rebuild(database, START)
    assert await told(database) == known_now
    first = machine.seq + 1
    machine.write(FREE)
    machine.write(rec.ClaimClosed(claim=claim, amount=150, tender="cash", how="paid"))
    await ingest.take(machine.address, machine.batch(first), START)
    assert [is_open for _, _, is_open in await told(database)] == [False] * 3


async def test_a_copy_that_the_chain_gives_the_lie_to_leaves_no_alert_of_its_own(
    database: FleetDatabase,
) -> None:
    machine, jams, _ = troubled()
    await register(database, machine)
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, 3), START)
    forged = machine.rows[jams[0] - 1][2].replace(b"A1", b"B7")
    await ingest.copied(machine.address, copy_of(machine, jams[0], forged), START)
    assert [cause for cause, _, _ in await told(database)] == [of_fault("B7", "column.jammed")]

    await ingest.take(machine.address, machine.batch(4), START)

    still = {cause for cause, _, is_open in await told(database) if is_open}
    assert of_fault("B7", "column.jammed") not in still
    assert still >= {FAULT, alerts.COPY_DIFFERS}


async def test_a_copy_of_a_journal_that_waits_raises_nothing_until_it_is_adopted(
    database: FleetDatabase,
) -> None:
    machine, jams, claim = troubled()
    first = Machine(number=2)
    first.begin()
    await register(database, first)
    ingest = Ingest(database)
    await ingest.take(first.address, first.batch(1), START)
    await ingest.copied(machine.address, copy_of(machine, jams[1]), START)
    await ingest.take(machine.address, machine.batch(1), START)
    assert [cause for cause, _, _ in await told(database)] == [alerts.UNADOPTED]

    await adopt_journal(database, machine.address, machine.journal, START)

    owed = of_claim(machine.journal.hex(), claim)
    assert (await told(database))[1:] == [
        (FAULT, jams[0], False), (FAULT, jams[1], True), (owed, claim, True)
    ]  # fmt: skip


async def test_a_claim_that_the_next_journal_tells_again_is_one_open_alert(
    database: FleetDatabase,
) -> None:
    machine, _, claim = troubled()
    await register(database, machine)
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, claim - 1), START)
    await ingest.copied(machine.address, copy_of(machine, claim), START)
    follower = Machine(number=2)
    follower.begin(previous=(machine.journal.hex(), claim))
    _, boot, body, _ = machine.rows[claim - 1]
    again = follower.write(
        rec.RecordCarried(
            journal=machine.journal.hex(), seq=claim, boot=boot, body=body.decode(), verified=True
        )
    )
    await ingest.take(follower.address, follower.batch(1), START)
    await adopt_journal(database, follower.address, follower.journal, START)

    owed = [line for line in await told(database) if line[0].startswith("claim ") and line[2]]
    assert owed == [(of_claim(follower.journal.hex(), again), again, True)]
