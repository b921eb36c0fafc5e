"""Each record once, in a dense sequence, whatever arrives in whatever order."""

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select

from cloud.contract.messages import Position, Range, Urgent
from cloud.contract.topics import Topic
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.unreadable import MAX_BAD
from cloud.fleet.ingest.verdict import Fate, Verdict
from cloud.fleet.projections.rebuild import rebuild
from tests.fleet.machines import SEED, START, Machine, one_that_sold, register


@pytest.fixture
async def machine(database: FleetDatabase) -> Machine:
    return await one_that_sold(database, 12)


async def stored(database: FleetDatabase, machine: Machine) -> list[tuple[int, bytes]]:
    async with database.reading() as connection:
        rows = await connection.execute(
            select(t.record.c.seq, t.record.c.hash)
            .join(t.journal, t.journal.c.id == t.record.c.journal_id)
            .where(t.journal.c.uid == machine.journal)
            .order_by(t.record.c.seq)
        )
        return [(seq, bytes(digest)) for seq, digest in rows]


async def rows(database: FleetDatabase, table: Any) -> list[Any]:
    async with database.reading() as connection:
        return list((await connection.execute(select(table))).all())


async def causes(database: FleetDatabase) -> set[str]:
    return {row.cause for row in await rows(database, t.alert) if row.closed_ms is None}


def whole(machine: Machine) -> list[tuple[int, bytes]]:
    return [(row[0], row[3]) for row in machine.rows]


def position(verdict: Verdict) -> tuple[int, str]:
    assert verdict.ack is not None
    return verdict.ack.seq, verdict.ack.hash


async def test_batches_are_stored_and_acknowledged_to_the_last_record(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)

    verdicts = [await ingest.take(machine.address, m, START) for m in machine.batches(10)]

    assert {verdict.fate for verdict in verdicts} == {Fate.APPLIED}
    assert position(verdicts[-1]) == (machine.seq, machine.hash.hex())
    assert verdicts[-1].ack is not None
    assert (verdicts[-1].ack.echo, verdicts[-1].ack.time) == ("n", START)
    assert await stored(database, machine) == whole(machine)


async def test_the_projections_say_what_was_sold(database: FleetDatabase, machine: Machine) -> None:
    ingest = Ingest(database)
    for message in machine.batches(10):
        await ingest.take(machine.address, message, START)

    sagas = await rows(database, t.saga)
    assert [(saga.result, saga.cash, saga.product) for saga in sagas] == [
        ("sold", 150, "cola")
    ] * 12
    balances = {row.account: row.amount for row in await rows(database, t.balance)}
    assert balances["cash.cashbox"] == 12 * 150 == -balances["revenue.cash"]
    assert sum(balances.values()) == 0
    (shelf,) = await rows(database, t.stock)
    assert (shelf.column, shelf.count, shelf.product) == ("A1", 0, "cola")


async def test_a_duplicate_is_refused_without_a_query(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    messages = machine.batches(10)
    for message in messages:
        await ingest.take(machine.address, message, START)

    again = [await ingest.take(machine.address, message, START) for message in messages]

    assert {(verdict.fate, verdict.queries) for verdict in again} == {(Fate.DUPLICATE, False)}
    assert {position(verdict) for verdict in again} == {(machine.seq, machine.hash.hex())}
    assert await stored(database, machine) == whole(machine)


async def test_a_duplicate_at_another_worker_is_refused_by_the_cursor(
    database: FleetDatabase, machine: Machine
) -> None:
    for message in machine.batches(10):
        await Ingest(database).take(machine.address, message, START)

    again = await Ingest(database).take(machine.address, machine.batch(3, 9), START)

    assert again.fate is Fate.DUPLICATE
    assert position(again) == (machine.seq, machine.hash.hex())
    assert await stored(database, machine) == whole(machine)


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_and_any_number_of_copies_end_the_same(
    database: FleetDatabase, machine: Machine, seed: int
) -> None:
    draw = random.Random(seed)
    edges = sorted({1, machine.seq + 1, *(draw.randint(1, machine.seq) for _ in range(12))})
    messages = [machine.batch(first, after - 1) for first, after in pairwise(edges)]
    overlapping = [
        machine.batch(first, draw.randint(first, machine.seq))
        for first in (draw.randint(1, machine.seq) for _ in range(6))
    ]
    mess = [*messages, *messages, *overlapping]
    draw.shuffle(mess)
    ingests = [Ingest(database), Ingest(database)]

    for message in mess:
        await draw.choice(ingests).take(machine.address, message, START)
    last = await ingests[0].take(machine.address, machine.batch(1), START)

    assert position(last) == (machine.seq, machine.hash.hex())
    assert await stored(database, machine) == whole(machine)
    assert len(await rows(database, t.saga)) == 12
    balances = {row.account: row.amount for row in await rows(database, t.balance)}
    assert balances["cash.cashbox"] == 12 * 150


async def test_two_workers_at_once_store_each_record_once(
    database: FleetDatabase, machine: Machine
) -> None:
    ingests = [Ingest(database), Ingest(database)]
    messages = machine.batches(5)

    await asyncio.gather(
        *(
            ingest.take(machine.address, message, START)
            for message in messages
            for ingest in ingests
        )
    )
    last = await ingests[1].take(machine.address, machine.batch(1), START)

    assert position(last) == (machine.seq, machine.hash.hex())
    assert await stored(database, machine) == whole(machine)


async def test_a_batch_ahead_waits_and_the_gap_is_asked_for(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, 10), START)

    ahead = await ingest.take(machine.address, machine.batch(21, 30), START)

    assert ahead.fate is Fate.WAITING
    assert position(ahead)[0] == 10
    assert ahead.ack is not None
    assert ahead.ack.want == Range(first=11, last=20)
    closing = await ingest.take(machine.address, machine.batch(11, 20), START)
    assert position(closing)[0] == 30
    assert await rows(database, t.waiting_batch) == []


async def test_what_can_not_be_read_is_asked_for_again_and_then_quarantined(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, 10), START)
    broken = bytearray(machine.batch(11, 20))
    broken[-3] ^= 1

    verdicts = [
        await ingest.take(machine.address, bytes(broken), START + n) for n in range(MAX_BAD)
    ]

    assert [verdict.fate for verdict in verdicts] == [
        Fate.ASKED_AGAIN, Fate.ASKED_AGAIN, Fate.QUARANTINED
    ]  # fmt: skip
    assert verdicts[0].ack is not None
    assert verdicts[0].ack.want == Range(first=11)
    assert await causes(database) == {alerts.QUARANTINED}
    after = await ingest.take(machine.address, machine.batch(11, 20), START)
    assert (after.fate, position(after)[0]) == (Fate.QUARANTINED, 10), "not acknowledged"
    assert len(await rows(database, t.dead_letter)) == MAX_BAD


async def test_a_head_that_is_not_understood_counts_for_the_journal_that_it_names(
    database: FleetDatabase, machine: Machine
) -> None:
    """And not for the newest one, which a twin may have: that one said nothing wrong."""
    ingest = Ingest(database)
    twin = Machine(number=2)
    twin.begin()
    await ingest.take(machine.address, machine.batch(1, 10), START)
    await ingest.take(machine.address, twin.batch(1), START)
    newer = machine.batch(11, 20).replace(b'"v":1', b'"v":9', 1)

    verdicts = [await ingest.take(machine.address, newer, START) for _ in range(MAX_BAD)]

    assert verdicts[-1].fate is Fate.QUARANTINED
    assert [v.ack and v.ack.journal for v in verdicts] == [machine.journal.hex()] * MAX_BAD
    twin.sell()
    assert (await ingest.take(machine.address, twin.batch(4), START)).fate is Fate.APPLIED


@pytest.mark.parametrize("seen", ["its journal", "its key"])
async def test_what_names_no_journal_quarantines_none_where_another_disk_was_seen(
    database: FleetDatabase, machine: Machine, seen: str
) -> None:
    ingest = Ingest(database)
    twin = Machine(number=2)
    twin.begin()
    await ingest.heard(machine.address, machine.presence(seed=SEED), START)
    await ingest.take(machine.address, machine.batch(1, 10), START)
    if seen == "its journal":
        await ingest.take(machine.address, twin.batch(1), START)
    else:
        await ingest.heard(machine.address, twin.presence(seed=bytes([5]) * 32), START)
    before = await causes(database)
    garbage = (b"garbage", b"{}\n", bytes(10_000_000))

    for message in garbage:
        verdict = await ingest.take(machine.address, message, START)
        assert (verdict.fate, verdict.ack) == (Fate.ASKED_AGAIN, None), "whom to answer?"

    assert len(await rows(database, t.dead_letter)) == len(garbage)
    assert await causes(database) - before == {alerts.UNREADABLE}
    assert not [row for row in await rows(database, t.journal) if row.quarantine]
    assert (await ingest.take(machine.address, machine.batch(11, 20), START)).fate is Fate.APPLIED


async def test_what_is_damaged_before_any_journal_is_known_has_an_alert(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)

    for _ in range(MAX_BAD - 1):
        await ingest.take(machine.address, machine.batch(1, 10)[:-5], START)
    assert await causes(database) == set()
    day_later = START + 86_400_000
    await ingest.take(machine.address, machine.batch(1, 10)[:-5], day_later)
    assert await causes(database) == set(), "not within a day"
    for _ in range(MAX_BAD - 1):
        await ingest.take(machine.address, machine.batch(1, 10)[:-5], day_later)

    assert await causes(database) == {alerts.UNREADABLE}
    assert (await ingest.take(machine.address, machine.batch(1), START)).fate is Fate.APPLIED


async def test_one_damaged_copy_does_no_lasting_harm(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, 10), START)
    await ingest.take(machine.address, b"garbage", START)
    await ingest.take(machine.address, machine.batch(11, 20)[:-5], START)

    whole_again = await ingest.take(machine.address, machine.batch(11, 20), START)

    assert whole_again.fate is Fate.APPLIED
    assert position(whole_again)[0] == 20


async def test_a_record_that_is_not_understood_is_acknowledged_and_waits_as_a_dead_letter(
    database: FleetDatabase, machine: Machine
) -> None:
    seq = machine.raw(
        b'{"at":5,"tc":true,"mono_ms":1,"type":"robot.danced","v":3,"vend":null,"data":{"n":1},'
        b'"postings":[["cash.tubes",5],["operator",-5]]}'
    )
    machine.raw(b"not of any form")

    verdict = await Ingest(database).take(machine.address, machine.batch(1), START)

    assert position(verdict) == (machine.seq, machine.hash.hex())
    letters = await rows(database, t.dead_letter)
    assert [(letter.seq, letter.message) for letter in letters] == [(seq, None), (seq + 1, None)]
    assert "robot.danced v3" in letters[0].reason
    assert await stored(database, machine) == whole(machine)
    balances = {row.account: row.amount for row in await rows(database, t.balance)}
    assert balances["cash.tubes"] == 5, "its postings are in the envelope, which is understood"


async def test_a_disk_that_went_back_and_sold_on_is_a_fork_at_the_last_common_record(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1), START)
    old = machine.fork(40)
    old.boot = 9
    for _ in range(3):
        old.sell(90)

    forked = await ingest.take(machine.address, old.batch(35), START)

    assert forked.fate is Fate.FORKED
    assert forked.ack is not None
    assert forked.ack.fork == Position(
        journal=machine.journal.hex(), seq=40, hash=machine.rows[39][3].hex()
    )
    assert forked.ack.seq == machine.seq, "what is stored stays"
    assert await causes(database) == {alerts.FORKED}
    assert await stored(database, machine) == whole(machine)


async def test_a_fork_whose_place_is_not_in_the_batch_asks_for_earlier_records(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1), START)
    old = machine.fork(20)
    old.boot = 9
    for _ in range(20):
        old.sell(90)

    verdict = await ingest.take(machine.address, old.batch(60, 70), START)
    asked = 0
    while verdict.ack is not None and verdict.ack.fork is None:
        assert verdict.ack.want is not None
        asked += 1
        first = verdict.ack.want.first
        verdict = await ingest.take(machine.address, old.batch(first, first + 21), START)

    assert verdict.ack is not None
    assert verdict.ack.fork is not None
    assert verdict.ack.fork.seq == 20
    assert 1 <= asked < 5


async def test_a_machine_that_went_back_and_sold_nothing_is_told_when_it_comes(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1), START)

    ack = await ingest.heard(machine.address, machine.fork(30).presence(), START)

    assert ack is not None
    assert ack.fork is not None
    assert (ack.fork.seq, ack.seq, ack.echo) == (30, machine.seq, "p")
    assert not await causes(database), "it may be a word that batches have overtaken"

    other = Machine(number=2)
    other.begin(previous=(machine.journal.hex(), 30))
    await ingest.take(machine.address, other.batch(1), START)

    assert await causes(database) == {alerts.FORKED, alerts.UNADOPTED}


async def test_a_copied_disk_in_another_machine_begins_a_journal_of_its_own(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, 40), START)
    clone = machine.fork(30)
    clone.boot = 7
    clone.sell(70)
    thief = Machine("lobby-2")
    await register(database, thief)

    verdict = await ingest.take(thief.address, clone.batch(25), START)

    assert verdict.ack is not None
    assert verdict.ack.fork is not None
    assert verdict.ack.fork.seq == 30
    assert await causes(database) == {alerts.FOREIGN}
    assert await stored(database, machine) == whole(machine)[:40]


async def test_a_second_journal_is_stored_and_waits_for_its_adoption(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1), START)
    second = Machine(number=2)
    second.begin(
        previous=(machine.journal.hex(), machine.seq),
        inherited=(("cash.cashbox", 1800), ("operator", -1800)),
    )
    second.sell(200)

    verdict = await ingest.take(machine.address, second.batch(1), START)

    assert (verdict.fate, position(verdict)[0]) == (Fate.APPLIED, second.seq)
    assert await stored(database, second) == whole(second)
    assert await causes(database) == {alerts.UNADOPTED}
    assert len(await rows(database, t.saga)) == 12, "its projections wait"


async def test_an_unknown_machine_is_not_heard(database: FleetDatabase, machine: Machine) -> None:
    stranger = Machine("nowhere")
    stranger.begin()

    verdict = await Ingest(database).take(stranger.address, stranger.batch(1), START)

    assert (verdict.fate, verdict.ack) == (Fate.REFUSED, None)
    async with database.reading() as connection:
        count = await connection.execute(select(func.count()).select_from(t.journal))
        assert count.scalar_one() == 0


async def test_the_first_word_of_a_tenant_may_be_one_that_nobody_can_read(
    database: FleetDatabase, machine: Machine
) -> None:
    async with asyncio.timeout(20):  # it waited for a lock that it held itself
        await Ingest(database).refused(machine.address, Topic.STATE, b"\xff", "no JSON", START)

    async with database.reading() as connection:
        letters = (await connection.execute(select(t.dead_letter.c.reason))).scalars().all()
    assert letters == ["no JSON"]


async def test_nothing_is_remembered_of_a_transaction_that_failed(
    database: FleetDatabase, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, 10), START)

    async def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(database, "insert_many", full)
        with pytest.raises(OSError, match="no space"):
            await ingest.take(machine.address, machine.batch(11, 20), START)

    again = await ingest.take(machine.address, machine.batch(11, 20), START)
    assert (again.fate, position(again)[0]) == (Fate.APPLIED, 20)


def copy_of(machine: Machine, seq: int, body: bytes | None = None) -> Urgent:
    _, boot, raw, _ = machine.rows[seq - 1]
    return Urgent(journal=machine.journal.hex(), seq=seq, boot=boot, body=body or raw)


async def test_an_urgent_copy_is_kept_and_confirmed_by_the_chain(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, 10), START)

    await ingest.copied(machine.address, copy_of(machine, 40), START)
    await ingest.copied(machine.address, copy_of(machine, 40), START)

    (copy,) = await rows(database, t.urgent_copy)
    assert (copy.seq, copy.confirmed) == (40, False)
    assert len(await stored(database, machine)) == 10, "a copy never moves the ack"
    await ingest.take(machine.address, machine.batch(11), START)
    (copy,) = await rows(database, t.urgent_copy)
    assert copy.confirmed


@pytest.mark.parametrize("late", [False, True], ids=["ahead", "behind"])
async def test_a_copy_that_differs_from_the_chain_quarantines(
    database: FleetDatabase, machine: Machine, late: bool
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, 10), START)
    forged = copy_of(machine, 40, machine.rows[39][2].replace(b"150", b"950"))

    if late:
        await ingest.take(machine.address, machine.batch(11), START)
    await ingest.copied(machine.address, forged, START)
    after = await ingest.take(machine.address, machine.batch(11), START)
    again = await Ingest(database).take(machine.address, machine.batch(5), START)

    assert alerts.COPY_DIFFERS in await causes(database)
    assert after.ack is not None
    assert again.fate is Fate.QUARANTINED
    assert "record 40" in again.ack.quarantined if again.ack else False


@pytest.mark.parametrize("before", [0, 10], ids=["before its first batch", "behind some"])
async def test_a_copy_waits_for_its_record_through_many_batches(
    database: FleetDatabase, machine: Machine, before: int
) -> None:
    ingest = Ingest(database)
    if before:
        await ingest.take(machine.address, machine.batch(1, before), START)
    forged = copy_of(machine, 40, machine.rows[39][2].replace(b"150", b"950"))
    await ingest.copied(machine.address, forged, START)
    await ingest.copied(machine.address, copy_of(machine, 20), START)

    for first in range(before + 1, 40, 5):
        await ingest.take(machine.address, machine.batch(first, min(first + 4, 39)), START)
    copies = {copy.seq: copy.confirmed for copy in await rows(database, t.urgent_copy)}
    assert copies == {20: True, 40: False}
    assert not [row for row in await rows(database, t.journal) if row.quarantine]
    await ingest.take(machine.address, machine.batch(40), START)

    (journal,) = await rows(database, t.journal)
    assert "record 40" in journal.quarantine


async def test_what_another_process_wrote_is_loaded_again(
    database: FleetDatabase, machine: Machine
) -> None:
    ingests = [Ingest(database), Ingest(database)]
    for number, message in enumerate(machine.batches(7)):
        await ingests[number % 3 == 2].take(machine.address, message, START)
        if number % 4 == 3:
            await rebuild(database, START)
    by_turns = {row.account: row.amount for row in await rows(database, t.balance)}
    (shelf,) = await rows(database, t.stock)
    await rebuild(database, START)

    assert by_turns == {row.account: row.amount for row in await rows(database, t.balance)}
    assert by_turns["cash.cashbox"] == 12 * 150
    assert (await rows(database, t.stock)) == [shelf]


@pytest.mark.parametrize("seed", range(6))
async def test_messages_that_are_taken_together_end_as_those_that_came_one_by_one(
    database: FleetDatabase, machine: Machine, seed: int
) -> None:
    chance = random.Random(seed)
    ingest = Ingest(database)
    fates: list[Fate] = []
    acked = 0
    while acked < machine.seq:
        first = max(1, acked + 1 - chance.choice([0, 0, 3]))
        size = chance.choice([3, 7])
        edges = [*range(first, min(first + 6 * size, machine.seq + 1), size)]
        messages = [machine.batch(a, min(a + size - 1, machine.seq)) for a in edges]
        if chance.random() < 0.5:
            chance.shuffle(messages)
        if chance.random() < 0.3:
            messages.insert(chance.randrange(len(messages)), messages[0][:-9])
        if chance.random() < 0.3:
            messages.append(messages[0])
        verdicts = await ingest.take_run(machine.address, messages, START)
        assert len(verdicts) == len(messages), "an answer for each"
        fates += [verdict.fate for verdict in verdicts]
        acked = max(verdict.ack.seq for verdict in verdicts if verdict.ack)
    together = await rows(database, t.balance)
    await rebuild(database, START)

    assert await stored(database, machine) == whole(machine)
    assert together == await rows(database, t.balance)
    assert set(fates) <= {Fate.APPLIED, Fate.DUPLICATE, Fate.WAITING, Fate.ASKED_AGAIN}
    assert Fate.APPLIED in fates


async def test_a_run_of_batches_that_left_our_chain_is_a_fork_all_the_same(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1), START)
    old = machine.fork(30)
    for _ in range(8):
        old.sell(200)
    messages = [old.batch(first, first + 9) for first in (31, 41, 51)]
    verdicts = await ingest.take_run(machine.address, messages, START)

    assert verdicts[0].fate is Fate.FORKED
    assert verdicts[0].ack is not None
    assert verdicts[0].ack.fork == Position(
        journal=machine.journal.hex(), seq=30, hash=machine.rows[29][3].hex()
    )
    assert await stored(database, machine) == whole(machine)
