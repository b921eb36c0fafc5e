"""What was stored and not understood is projected after an upgrade, in its place, once."""

import json
from typing import Any

import pytest
from sqlalchemy import insert, select

from cloud.contract.journal import records as rec
from cloud.fleet import reports, stock_rules
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.dead_letters import DeadLetterError, discard, replay
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.orders import OrderRefusedError
from tests.fleet.machines import START, Machine, register
from tests.fleet.older import older_software


async def told(database: FleetDatabase, machine: Machine) -> None:
    ingest = Ingest(database)
    for message in machine.batches(10):
        await ingest.take(machine.address, message, START)


async def projected(database: FleetDatabase) -> dict[str, list[tuple[Any, ...]]]:
    async with database.reading() as connection:
        return {
            table.name: sorted(
                (tuple(row) for row in await connection.execute(select(table))), key=repr
            )
            for table in t.PROJECTIONS
        }


def life() -> Machine:
    machine = Machine()
    machine.begin()
    machine.sell()
    machine.write(rec.PriceSet(column="A1", price=170, before=150))
    machine.sell(170)
    machine.write(rec.PriceSet(column="A1", price=180, before=170))
    machine.sell(180)
    return machine


async def test_letters_are_projected_after_an_upgrade_as_if_they_had_always_been_understood(
    database: FleetDatabase,
) -> None:
    machine = life()
    await register(database, machine)
    with older_software(rec.PriceSet, rec.VendOpened):
        await told(database, machine)
        letters = await reports.dead_letters(database)
        assert len(letters) == 5
        before = await projected(database)
        same = await replay(database, None, START + 1)
        assert (same.understood, len(same.still)) == ((), 5)
        assert [line["id"] for line in await reports.dead_letters(database)] == [
            line["id"] for line in letters
        ], "a letter keeps its number"
        assert await projected(database) == before

    done = await replay(database, letters[0]["id"], START + 2)

    assert done.understood == (letters[0]["id"],)
    assert await reports.dead_letters(database) == []
    (shelf,) = await reports.stock(database)
    assert (shelf["price"], shelf["left"]) == (180, 7)
    (total,) = await reports.totals(database)
    assert (total["sold"], total["cash"]) == (3, 500)
    again = await replay(database, None, START + 3)
    assert (again.understood, again.records) == ((), 0)
    fresh = await projected(database)
    await told(database, machine)
    assert await projected(database) == fresh, "its records come again and change nothing"


async def test_a_letter_that_is_a_message_or_was_set_aside_is_not_replayed(
    database: FleetDatabase,
) -> None:
    machine = life()
    await register(database, machine)
    with older_software(rec.PriceSet):
        await told(database, machine)
        (first, *_) = await reports.dead_letters(database)
        await discard(database, first["id"], START)
        await discard(database, first["id"], START + 5)
        assert first["id"] not in [line["id"] for line in await reports.dead_letters(database)]
        with pytest.raises(DeadLetterError, match="was discarded"):
            await replay(database, first["id"], START)
        await replay(database, None, START)
        assert first["id"] not in [line["id"] for line in await reports.dead_letters(database)]
    async with database.writing() as connection:
        await connection.execute(
            insert(t.dead_letter).values(topic="events", message=b"x", reason="odd", at_ms=START)
        )
    (message, *_) = await reports.dead_letters(database)
    with pytest.raises(DeadLetterError, match="could not be read"):
        await replay(database, message["id"], START)
    for act in (replay(database, 999, START), discard(database, 999, START)):
        with pytest.raises(DeadLetterError, match="no dead letter 999"):
            await act
    every = await reports.dead_letters(database, every=True)
    assert json.dumps(every, default=str)


async def test_what_to_bring_follows_the_rules(database: FleetDatabase) -> None:
    machine, other = life(), Machine("lobby-2", number=2)
    other.begin()
    await register(database, machine, other)
    await told(database, machine)
    await told(database, other)

    for address in (machine.address, other.address):
        await stock_rules.set_rule(database, address, "A1", 12, 7)
    await stock_rules.set_rule(database, machine.address, "A1", 10, 7)  # thought better of it

    assert [line["par"] for line in await stock_rules.rules(database)] == [10, 12]
    (picked,) = await stock_rules.pick_list(database)
    assert (picked["machine"], picked["products"]) == ("lobby-1", {"cola": 3})
    (column,) = picked["columns"]
    assert column == {
        "column": "A1", "product": "cola", "left": 7, "bring": 3, "reorder": True
    }  # fmt: skip
    both = await stock_rules.pick_list(database, every=True)
    assert [one["products"] for one in both] == [{"cola": 3}, {"": 2}]

    for address, name, par, reorder, why in (
        (machine.address, "Z9", 10, 2, "no column 'Z9'"),
        (machine.address, "A1", 5, 5, "0 <= reorder < par"),
        (Machine("lobby-9").address, "A1", 10, 2, "no machine"),
    ):
        with pytest.raises(OrderRefusedError, match=why):
            await stock_rules.set_rule(database, address, name, par, reorder)
