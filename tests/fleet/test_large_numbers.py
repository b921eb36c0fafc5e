"""A number that no table can hold, or a nest too deep to look into, keeps one record from being
understood; its journal goes on.
"""

import json

import pytest
from sqlalchemy import select

from cloud.contract.batch import Row
from cloud.contract.journal import UnknownData
from cloud.contract.journal import records as rec
from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.reading import LIMIT, record_of
from cloud.fleet.ingest.verdict import Fate
from cloud.fleet.projections.rebuild import rebuild
from tests.fleet.machines import START, Machine, one_that_sold
from tests.fleet.test_ingest import causes, stored, whole

LARGE = (LIMIT, -LIMIT, 2**63, 2**70, 10**5_000)


@pytest.fixture
async def machine(database: FleetDatabase) -> Machine:
    return await one_that_sold(database, 1)


def large_ones(machine: Machine) -> None:
    """Write what a sale writes once more for each of its numbers, with that one too large."""
    for seq in range(1, machine.seq + 1):
        body = machine.rows[seq - 1][2].decode()
        told = json.loads(body)
        for place, value in _numbers(told["data"], []):
            for large in LARGE:
                changed = json.loads(body)
                *above, last = place
                inner = changed["data"]
                for step in above:
                    inner = inner[step]
                assert inner[last] == value
                inner[last] = "LARGE"
                text = json.dumps(changed, separators=(",", ":"))
                machine.raw(text.replace('"LARGE"', _digits(large)).encode())
        for large in LARGE:
            machine.raw(body.replace(f'"at":{told["at"]}', f'"at":{_digits(abs(large))}').encode())
            if told["postings"]:
                amount = told["postings"][0][1]
                text = body.replace(f",{amount}]", f",{_digits(large)}]")
                machine.raw(text.replace(f",{-amount}]", f",{_digits(-large)}]").encode())


def _digits(number: int) -> str:
    return f"{number:d}" if abs(number) <= 2**70 else "1" + "0" * 5_000


def _numbers(value: object, place: list[str | int]) -> list[tuple[list[str | int], int]]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [(place, value)]
    if isinstance(value, dict):
        return [one for key, inner in value.items() for one in _numbers(inner, [*place, key])]
    if isinstance(value, list):
        return [one for key, inner in enumerate(value) for one in _numbers(inner, [*place, key])]
    return []


async def all_of_it_is_taken(database: FleetDatabase, machine: Machine) -> None:
    ingest = Ingest(database)
    for message in machine.batches(25):
        verdict = await ingest.take(machine.address, message, START)
        assert verdict.fate is Fate.APPLIED
    assert await stored(database, machine) == whole(machine)


async def test_a_number_that_is_too_large_makes_a_dead_letter_and_stops_nothing(
    database: FleetDatabase, machine: Machine
) -> None:
    before = machine.balances()
    large_ones(machine)
    machine.write(rec.ConfigApplied(revision=2**70, digest="", settings={}, by="fleet: eve"))
    machine.sell(170)
    await all_of_it_is_taken(database, machine)
    assert await causes(database) == set()

    async def told() -> tuple[dict[str, int], int]:
        found = await reports.balances(database, machine.address)
        async with database.reading() as connection:
            letters = (await connection.execute(select(t.dead_letter.c.seq))).scalars().all()
        assert len(set(letters)) == len(letters)
        return {account: amount for account, amount in found.items() if amount}, len(letters)

    balances, letters = await told()
    assert balances == {
        name: amount + (170 if amount > 0 else -170) for name, amount in before.items()
    }
    assert letters > 40
    await rebuild(database, START, lambda _machine, _count: None)
    assert await told() == (balances, letters)


async def test_what_is_told_again_stops_nothing_whatever_it_says(
    database: FleetDatabase, machine: Machine
) -> None:
    older = Machine()
    older.begin()
    older.sell()
    large_ones(older)
    older.raw(older.rows[0][2].split(b'"data":')[0] + b'"data":' + b"[" * 100_000)
    for seq, boot, body, _ in list(older.rows):
        machine.write(rec.RecordCarried(journal="ab" * 16, seq=seq, boot=boot, body=body.decode()))
    machine.sell(170)

    await all_of_it_is_taken(database, machine)
    assert await causes(database) == set()


async def test_what_is_nested_too_deeply_makes_a_dead_letter_and_stops_nothing(
    database: FleetDatabase, machine: Machine
) -> None:
    said = machine.rows[-1][2].decode()
    for data in (
        "[" * 100_000,
        "[" * 100_000 + str(LIMIT) + "]" * 100_000,
        '{"a":' * 2_000 + str(LIMIT) + "}" * 2_000,
        '{"a":' * 150 + str(LIMIT) + "}" * 150,
    ):
        head, tail = said.split('"data":')[0], said[said.rindex(',"postings"') :]
        machine.raw(f'{head}"data":{data}{tail}'.encode())
    for body in ("[" * 100_000, '{"balances":{"a":1e999}}'):
        machine.write(rec.CheckpointSigned(reason="hourly", body=body, signature=""))
    machine.sell(170)

    await all_of_it_is_taken(database, machine)


def test_long_runs_of_digits_that_are_no_numbers_are_no_large_numbers() -> None:
    machine = Machine()
    machine.begin()
    machine.write(rec.CoinsDeposited(device="1" * 40, answer="9" * 20, coins=()))

    record = record_of(Row(*machine.rows[-1]))
    assert not isinstance(record.data, UnknownData)
