"""A machine's whole life, proved from the fleet's database; and each way to change it, found."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import attested, link
from cloud.contract.journal import records as rec
from cloud.contract.messages import Countersigned, Signed, read
from cloud.contract.signing import public_of
from cloud.fleet import registry
from cloud.fleet import schema as t
from cloud.fleet.audit import AuditReport, audit
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from tests.fleet.books import known, sell, sell_many
from tests.fleet.machines import SEED, START, Machine, register
from tests.fleet.signing import ROOT, countersign
from tests.fleet.test_forks import LOBBY, Site, promise

Change = Callable[[AsyncConnection], Awaitable[Any]]


def keep_word(machine: Machine, word: Signed | None) -> None:
    """Write the fleet's word down, as the machine does."""
    assert word is not None
    assert word.key is not None
    machine.write(
        rec.CheckpointCountersigned(
            seq=read(Countersigned, word.body).seq,
            body=word.body.decode(),
            kid=word.kid,
            signature=word.sig.hex(),
            key=word.key.body.decode(),
            key_signature=word.key.sig.hex(),
        )
    )


@pytest.fixture
async def machine(database: FleetDatabase) -> Machine:
    """Two journals: one that broke, and the one that followed it."""
    made = Machine()
    await register(database, made)
    ingest = Ingest(database, countersign=countersign)
    made.begin()
    await ingest.heard(made.address, made.presence(seed=SEED), START)
    await _live(ingest, made)
    successor = Machine(number=2)
    successor.begin(
        previous=(made.journal.hex(), made.seq - 3), inherited=tuple(made.balances().items())
    )
    await _live(ingest, successor)
    await registry.adopt_journal(database, made.address, successor.journal, START)
    await _live(ingest, successor)
    return made


async def _live(ingest: Ingest, machine: Machine) -> None:
    first = machine.seq + 1 if machine.seq > 3 else 1
    for _ in range(4):
        machine.sell()
        machine.state_books()
        verdict = await ingest.take(machine.address, machine.batch(first), START)
        assert verdict.ack is not None
        assert not verdict.ack.quarantined
        first = machine.seq + 1
        if verdict.ack.countersigned is not None:
            keep_word(machine, verdict.ack.countersigned)
    if first <= machine.seq:
        await ingest.take(machine.address, machine.batch(first), START)


async def audited(database: FleetDatabase, machine: Machine) -> AuditReport:
    report = await audit(database, machine.address, public_of(ROOT))
    assert report is not None
    return report


async def test_a_whole_life_is_proved(database: FleetDatabase, machine: Machine) -> None:
    steps: list[tuple[int, int]] = []

    report = await audit(
        database, machine.address, public_of(ROOT), lambda done, all_: steps.append((done, all_))
    )

    assert report is not None
    assert report.problem == ""
    first, second = report.journals
    assert (first.journal, first.follows) == (machine.journal.hex(), "")
    assert second.follows == first.journal
    assert (first.checkpoints, first.countersigned) == (4, 4)
    assert (second.checkpoints, second.countersigned) == (8, 4)
    assert first.proved == machine.seq - 2
    assert report.records == first.records + second.records == steps[-1][0] == steps[-1][1]


async def test_a_machine_that_nobody_knows_has_no_life(database: FleetDatabase) -> None:
    assert await audit(database, Machine("nobody").address, public_of(ROOT)) is None


def _of(journal_id: int, seq: int) -> Any:
    return (t.record.c.journal_id == journal_id) & (t.record.c.seq == seq)


async def _flip(connection: AsyncConnection, column: Any, where: Any, index: int = 40) -> None:
    raw = bytearray((await connection.execute(select(column).where(where))).scalar_one())
    raw[index % len(raw)] ^= 1
    await connection.execute(update(column.table).where(where).values({column.name: bytes(raw)}))


async def _swap(connection: AsyncConnection) -> None:
    rows = {
        seq: (await connection.execute(select(t.record).where(_of(1, seq)))).one()
        for seq in (12, 13)
    }
    for seq, other in ((12, 13), (13, 12)):
        named = dict(rows[other]._mapping) | {"seq": seq}
        await connection.execute(update(t.record).where(_of(1, seq)).values(named))


async def _twice(connection: AsyncConnection) -> None:
    row = (await connection.execute(select(t.record).where(_of(1, 9)))).one()
    await connection.execute(insert(t.record).values(dict(row._mapping)))


async def _uncounted(connection: AsyncConnection) -> None:
    """Change a balance, and have the row say that nobody may compare it."""
    await connection.execute(
        update(t.balance).where(t.balance.c.account == "cash.cashbox").values(amount=5)
    )
    await connection.execute(
        update(t.journal)
        .where(t.journal.c.id == 2)
        .values(projected_seq=t.journal.c.projected_seq - 1)
    )


async def _other_balance(connection: AsyncConnection) -> None:
    """Change a checkpoint's balance, and make every hash behind it right again."""
    rows = (
        await connection.execute(
            select(t.record).where(t.record.c.journal_id == 1).order_by(t.record.c.seq)
        )
    ).all()
    digest = rows[9].hash
    for row in rows[10:]:
        body = bytes(row.body).replace(b'\\"cash.cashbox\\":150', b'\\"cash.cashbox\\":140')
        digest = link(bytes(digest), bytes([1]) * 16, row.seq, row.boot, body)
        await connection.execute(
            update(t.record).where(_of(1, row.seq)).values(body=body, hash=digest)
        )
    await connection.execute(update(t.journal).where(t.journal.c.id == 1).values(last_hash=digest))


async def _resigned(connection: AsyncConnection) -> None:
    """A sale never happened: every byte, hash and signature behind it is made anew.

    Whoever has the machine's disk has its key; the fleet's word is what they can't make.
    """
    lies = Machine()
    lies.begin()
    for _ in range(4):
        lies.sell(10)
        lies.state_books()
    await connection.execute(delete(t.record).where(t.record.c.journal_id == 1))
    for seq, boot, body, digest in lies.rows:
        record = lies.record(seq)
        await connection.execute(
            insert(t.record).values(
                journal_id=1, seq=seq, boot=boot, at_ms=record.at_ms, type=record.type,
                vend=record.vend, body=body, hash=digest,
            )
        )  # fmt: skip
        if isinstance(record.data, rec.CheckpointSigned):
            told = attested.read(record.data.body)
            await connection.execute(
                update(t.checkpoint)
                .where(t.checkpoint.c.journal_id == 1, t.checkpoint.c.at_ms == START + told.seq)
                .values(body=record.data.body.encode())
            )


_CHECKPOINT = (t.checkpoint.c.journal_id == 1) & (t.checkpoint.c.seq == 10)
CHANGES: dict[str, tuple[Change, int | None, str]] = {
    "one byte of a record": (lambda c: _flip(c, t.record.c.body, _of(1, 7)), 7, "fails its hash"),
    "a start that is none": (
        lambda c: c.execute(update(t.record).where(_of(1, 7)).values(boot=-1)),
        7,
        "can't be read",
    ),
    "one byte of a hash": (lambda c: _flip(c, t.record.c.hash, _of(2, 5)), 5, "fails its hash"),
    "one byte of the last hash": (
        lambda c: _flip(c, t.journal.c.last_hash, t.journal.c.id == 2),
        71,
        "its last hash",
    ),
    "a row is gone": (lambda c: c.execute(delete(t.record).where(_of(1, 8))), 8, "is missing"),
    "the last rows are gone": (
        lambda c: c.execute(
            delete(t.record).where(t.record.c.journal_id == 1, t.record.c.seq > 20)
        ),
        21,
        "the journal ends at 20",
    ),
    "a row is there twice": (_twice, 9, "stored twice"),
    "two rows have changed places": (_swap, 12, "fails its hash"),
    "a column beside the bytes": (
        lambda c: c.execute(update(t.record).where(_of(1, 6)).values(type="note.left")),
        6,
        "its columns",
    ),
    "a checkpoint's balance": (_other_balance, 11, "cash.cashbox 140, the records 150"),
    "everything anew, signed by the machine": (_resigned, 11, "our row of the checkpoint"),
    "the machine's signature": (
        lambda c: _flip(c, t.checkpoint.c.signature, _CHECKPOINT),
        11,
        "our row of the checkpoint",
    ),
    "our countersignature": (
        lambda c: _flip(c, t.checkpoint.c.countersignature, _CHECKPOINT, 60),
        11,
        "our countersignature",
    ),
    "a checkpoint's row is gone": (
        lambda c: c.execute(delete(t.checkpoint).where(_CHECKPOINT)),
        12,
        "the machine holds our word for record 10, and we do not",
    ),
    "a checkpoint's row too many": (
        lambda c: c.execute(
            insert(t.checkpoint).values(
                journal_id=1, seq=15, body=b"", signature=b"", countersignature=b"", at_ms=1
            )
        ),
        16,
        "no record",
    ),
    "a balance": (
        lambda c: c.execute(
            update(t.balance).where(t.balance.c.account == "cash.cashbox").values(amount=5)
        ),
        None,
        "the balance of cash.cashbox is 5",
    ),
    "a balance, and how far the records count": (
        _uncounted,
        None,
        "the balances hold records to 70, and it ends at 71",
    ),
    "that it counts": (
        lambda c: c.execute(update(t.journal).where(t.journal.c.id == 2).values(adopted=False)),
        None,
        "its machine's books go on in it, and its row says that it does not count",
    ),
    "a checkpoint's time": (
        lambda c: c.execute(update(t.checkpoint).where(_CHECKPOINT).values(at_ms=1)),
        11,
        "our row of the checkpoint",
    ),
    "which journal follows which": (
        lambda c: c.execute(update(t.journal).where(t.journal.c.id == 2).values(previous_seq=1)),
        1,
        "follows",
    ),
    "the machine's key": (
        lambda c: c.execute(update(t.machine_key).values(public_key=public_of(bytes([9]) * 32))),
        11,
        "not signed by this machine's key",
    ),
}


@pytest.mark.parametrize("change", list(CHANGES))
async def test_whatever_is_changed_is_found_and_the_first_wrong_record_named(
    database: FleetDatabase, machine: Machine, change: str
) -> None:
    made, seq, words = CHANGES[change]
    assert (await audited(database, machine)).ok
    async with database.writing() as connection:
        await made(connection)

    report = await audited(database, machine)

    assert not report.ok
    assert (report.seq, words in report.problem) == (seq, True), report.problem


async def test_another_root_key_vouches_for_nothing(
    database: FleetDatabase, machine: Machine
) -> None:
    report = await audit(database, machine.address, public_of(bytes([3]) * 32))

    assert report is not None
    assert "root key" in report.problem


async def test_a_fork_is_proved_on_both_sides(database: FleetDatabase, tmp_path: Path) -> None:
    site = Site(database, tmp_path)
    await known(database, LOBBY)
    books = await site.open("disk")
    await sell_many(books, 3)
    agreed = books.durable_seq
    await books.close()
    site.copy("disk", "image")
    books = await site.open("disk")
    await sell_many(books, 2)
    await site.tell(books)
    await books.close()

    # The image of before sells on; the fleet has another chain behind the record they share.
    old = await site.open("image")
    sell(old, 200)
    promise(old, 70)
    await old.commit()
    await old.close()
    await site.fork("image", agreed, 5)
    books = await site.open("image")
    sell(books, 100)
    await site.tell(books, adopt=True)

    report = await audit(database, LOBBY, public_of(ROOT))
    assert report is not None
    assert report.problem == ""
    assert report.journals[1].follows == report.journals[0].journal
    assert report.journals[1].carried > 10
    life = await books.verify_life()
    assert life.ok, life.problem
    assert life.journals[0].previous is not None
    assert life.journals[0].previous[1] == agreed

    await books.close()
    (path,) = [one for one in (tmp_path / "image").glob("journal-*.db")
               if books.journal_id.hex() not in one.name]  # fmt: skip
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE record SET boot = 9 WHERE seq = ?", (agreed + 3,))
    books = await site.open("image")
    life = await books.verify_life()
    assert (life.ok, life.wrong_seq) == (False, agreed + 3), "what is told again has to be right"
    await books.close()
