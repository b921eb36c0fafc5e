"""Checkpoints at the fleet: compared with its own books, countersigned, or told to differ."""

from typing import Any

import pytest
from sqlalchemy import select

from cloud.contract.journal import records as rec
from cloud.contract.messages import Ack
from cloud.contract.signing import Verifier, public_of
from cloud.fleet import registry
from cloud.fleet import schema as t
from cloud.fleet.alerts import open_causes
from cloud.fleet.database import FleetDatabase
from cloud.fleet.dead_letters import replay
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.verdict import Fate, Verdict
from cloud.fleet.projections.rebuild import rebuild
from controller.journal.envelope import encode_body
from tests.fleet.machines import SEED, START, Machine, one_that_sold
from tests.fleet.signing import ROOT, countersign, nobody

OTHER = bytes([9]) * 32
STAMP: dict[str, Any] = {
    "at_ms": START, "confirmed": True, "mono_ms": 1, "vend": None, "postings": ()
}  # fmt: skip


@pytest.fixture
async def machine(database: FleetDatabase) -> Machine:
    return await one_that_sold(database, 1)


def ingest_of(database: FleetDatabase) -> Ingest:
    return Ingest(database, countersign=countersign)


async def shown(ingest: Ingest, machine: Machine, seed: bytes = SEED) -> Ack | None:
    return await ingest.heard(machine.address, machine.presence(seed=seed), START)


async def sent(ingest: Ingest, machine: Machine, first: int = 1) -> Verdict:
    return await ingest.take(machine.address, machine.batch(first), START)


async def causes(database: FleetDatabase) -> dict[str, str]:
    async with database.reading() as connection:
        rows = await connection.execute(
            select(t.alert.c.cause, t.alert.c.detail).where(t.alert.c.closed_ms.is_(None))
        )
        return {row.cause: row.detail for row in rows}


async def everything(database: FleetDatabase) -> dict[str, list[tuple[Any, ...]]]:
    """What ingest knows of its journals, and every alert that there ever was."""
    journal = [column for column in t.journal.columns if column.name != "folded"]
    async with database.reading() as connection:
        return {
            "journal": [tuple(row) for row in await connection.execute(select(*journal))],
            "alert": [
                tuple(row) for row in await connection.execute(select(t.alert).order_by("id"))
            ],
        }


def vouched(ack: Ack | None, machine: Machine) -> int | None:
    """Return how far the fleet's word reaches, verified as the machine verifies it."""
    assert ack is not None
    if ack.countersigned is None:
        return None
    word = Verifier(public_of(ROOT), machine.address).countersigned(ack.countersigned)
    assert (word.journal, word.hash) == (machine.journal.hex(), machine.rows[word.seq - 1][3].hex())
    return word.seq


async def test_a_checkpoint_that_agrees_is_countersigned(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = ingest_of(database)
    await shown(ingest, machine)
    books = machine.seq
    machine.state_books()
    machine.sell()

    verdict = await sent(ingest, machine)

    assert verdict.fate is Fate.APPLIED
    assert vouched(verdict.ack, machine) == books
    assert vouched(await shown(ingest, machine), machine) == books, (
        "said again to whoever missed it"
    )
    assert await causes(database) == {}


async def test_of_several_in_a_batch_the_newest_speaks_for_all(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = ingest_of(database)
    await shown(ingest, machine)
    for _ in range(3):
        machine.state_books()
        machine.sell()

    verdict = await sent(ingest, machine)

    assert vouched(verdict.ack, machine) == machine.seq - 8
    async with database.reading() as connection:
        assert len((await connection.execute(select(t.checkpoint))).all()) == 3


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (
            {"balances": {"cash.cashbox": 140, "revenue.cash": -140}},
            ("cash.cashbox 140", "records 150"),
        ),
        ({"balances": {}}, ("cash.cashbox 0", "records 150")),
        ({"hash": "ab" * 32}, ("hash abab", "the chain ")),
        ({"seq": 3}, ("seq 3", "the chain 10")),
        ({"journal": "ff" * 16}, ("journal ffff", "the chain 0101")),
    ],
)
async def test_books_that_differ_quarantine_the_journal_and_name_both_values(
    database: FleetDatabase, machine: Machine, lie: dict[str, object], words: tuple[str, str]
) -> None:
    ingest = ingest_of(database)
    await shown(ingest, machine)
    machine.state_books(**lie)  # type: ignore[arg-type]  # by their names
    last = machine.seq

    verdict = await sent(ingest, machine)

    assert verdict.ack is not None
    assert vouched(verdict.ack, machine) is None
    detail = (await causes(database))["checkpoint.differs"]
    assert all(word in detail for word in words), detail
    assert detail == verdict.ack.quarantined
    machine.sell()
    later = await sent(ingest, machine, last + 1)
    assert later.fate is Fate.QUARANTINED
    assert later.ack is not None
    assert later.ack.seq == last

    await registry.release(database, machine.journal, START)
    assert await causes(database) == {}
    assert (await sent(ingest, machine, last + 1)).fate is Fate.APPLIED


@pytest.mark.parametrize("how", ["rebuild", "dlq replay"])
async def test_making_the_projections_again_puts_no_released_journal_back_into_quarantine(
    database: FleetDatabase, machine: Machine, how: str
) -> None:
    ingest = ingest_of(database)
    await shown(ingest, machine)
    if how == "dlq replay":
        machine.raw(
            encode_body(rec.PriceSet(column="A1", price=1, before=2), **STAMP).replace(
                b"price.set", b"price.new"
            )
        )
    machine.state_books(hash="ab" * 32)
    last = machine.seq
    await sent(ingest, machine)
    await registry.release(database, machine.journal, START)
    before = await everything(database)

    if how == "rebuild":
        assert await rebuild(database, START + 1) == machine.seq
    else:
        assert (await replay(database, None, START + 1)).records == machine.seq

    assert await everything(database) == before
    machine.sell()
    assert (await sent(ingest, machine, last + 1)).fate is Fate.APPLIED
    assert await causes(database) == {}


async def test_the_first_key_is_pinned_and_another_one_waits_with_an_alert(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = ingest_of(database)
    await shown(ingest, machine)
    machine.state_books(seed=OTHER)

    assert vouched((await sent(ingest, machine)).ack, machine) is None
    await shown(ingest, machine, OTHER)
    found = await causes(database)
    assert set(found) == {"checkpoint.unsigned", "machine.key_changed"}
    assert public_of(OTHER).hex() in found["machine.key_changed"]
    assert public_of(SEED).hex() in found["machine.key_changed"]

    assert await registry.accept_key(database, machine.address, START) == public_of(OTHER)
    first = machine.seq + 1
    machine.state_books(seed=OTHER)
    assert vouched((await sent(ingest, machine, first)).ack, machine) == first - 1
    await shown(ingest, machine, SEED)
    assert await causes(database) == {}, "what was pinned once stays known"
    with pytest.raises(registry.RegistryError, match="no key that waits"):
        await registry.accept_key(database, machine.address, START)


async def test_a_signer_that_is_away_holds_up_nothing(
    database: FleetDatabase, machine: Machine
) -> None:
    away = Ingest(database, countersign=nobody)
    await shown(away, machine)
    machine.state_books()

    verdict = await sent(away, machine)

    assert verdict.fate is Fate.APPLIED
    assert vouched(verdict.ack, machine) is None
    assert vouched(await shown(ingest_of(database), machine), machine) == machine.seq - 1


async def test_a_journal_that_waits_is_compared_when_it_is_adopted(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = ingest_of(database)
    await shown(ingest, machine)
    await sent(ingest, machine)
    card = Machine(number=2)  # a new disk: it knows nothing of the old one
    card.begin()
    card.sell(200)
    card.state_books()
    assert vouched((await sent(ingest, card)).ack, card) is None

    await registry.adopt_journal(database, card.address, card.journal, START)

    assert vouched(await shown(ingest, card), card) == card.seq - 1
    assert await causes(database) == {}
    async with database.reading() as connection:
        assert await open_causes(connection, 1) == set()
        rows = await connection.execute(select(t.balance.c.account, t.balance.c.amount))
        assert {row.account: row.amount for row in rows if row.amount} == card.balances()
