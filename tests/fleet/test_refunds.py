"""Money that only its payer's operator can give back: asked for by machines, ended by people."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from cloud.contract.journal import records as rec
from cloud.fleet import refunds, registry
from cloud.fleet import schema as t
from cloud.fleet.cli.app import app
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.orders import OrderRefusedError
from cloud.fleet.projections.rebuild import rebuild
from tests.fleet.machines import START, Machine, register


def asked(reference: str, amount: int) -> rec.RefundRequested:
    return rec.RefundRequested(tender="app", reference=reference, amount=amount, reason="jam")


def life() -> Machine:
    machine = Machine()
    machine.begin()
    vend = machine.sell()
    machine.write(asked("pay-7", 240), vend=vend)
    machine.sell()
    machine.write(asked("pay-8", 60))
    return machine


async def projected(database: FleetDatabase) -> list[tuple[Any, ...]]:
    async with database.reading() as connection:
        rows = await connection.execute(select(t.refund).order_by(t.refund.c.seq))
        return [tuple(row) for row in rows]


@pytest.mark.parametrize("size", [1, 1_000])
async def test_what_was_asked_for_is_open_until_somebody_says_that_it_was_paid(
    database: FleetDatabase, size: int
) -> None:
    machine = life()
    await register(database, machine)
    for message in machine.batches(size):
        await Ingest(database).take(machine.address, message, START)

    second, first = await refunds.refunds(database)
    assert (first["machine"], first["vend"], first["tender"], first["reference"]) == (
        "lobby-1", 5, "app", "pay-7",
    )  # fmt: skip
    assert (first["amount"], first["reason"], first["state"]) == (240, "jam", "open")
    assert (second["amount"], second["vend"], second["refund"]) == (60, None, machine.seq)
    before = await projected(database)
    await rebuild(database, START)
    assert await projected(database) == before

    assert await refunds.end(database, machine.address, "pay-7", "by bank", START + 5) == 240
    assert [line["reference"] for line in await refunds.refunds(database)] == ["pay-8"]
    every = {line["reference"]: line for line in await refunds.refunds(database, ended=True)}
    assert (every["pay-7"]["state"], every["pay-7"]["how"], every["pay-7"]["ended_ms"]) == (
        "ended", "by bank", START + 5,
    )  # fmt: skip
    await rebuild(database, START)
    assert {line["reference"]: line for line in await refunds.refunds(database, ended=True)} == (
        every
    )
    for reference, why in (("pay-7", "has ended: by bank"), ("pay-9", "asked for no refund")):
        with pytest.raises(OrderRefusedError, match=why):
            await refunds.end(database, machine.address, reference, "twice", START)


async def test_one_payment_that_two_journals_ask_for_is_owed_once(
    database: FleetDatabase,
) -> None:
    machine = life()
    await register(database, machine)
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1), START)
    other = Machine(number=2)  # a disk that went back asks again
    other.begin(previous=(machine.journal.hex(), machine.seq - 1))
    other.write(asked("pay-8", 60))
    await ingest.take(other.address, other.batch(1), START)
    await registry.adopt_journal(database, other.address, other.journal, START)

    states = [
        (line["journal"], line["reference"], line["state"])
        for line in await refunds.refunds(database)
    ]
    assert sorted(states) == [
        (machine.journal.hex(), "pay-7", "open"),
        (machine.journal.hex(), "pay-8", "open"),
        (other.journal.hex(), "pay-8", "asked again"),
    ]
    assert await refunds.end(database, machine.address, "pay-8", "paid", START) == 60
    assert [line["reference"] for line in await refunds.refunds(database)] == ["pay-7"]


async def test_the_shell_tells_them_and_ends_them(tmp_path: Path, migrated_file: Path) -> None:
    (tmp_path / "fleet.db").write_bytes(migrated_file.read_bytes())
    database = FleetDatabase(f"sqlite+aiosqlite:///{tmp_path / 'fleet.db'}")
    machine = life()
    await register(database, machine)
    await Ingest(database).take(machine.address, machine.batch(1), START)
    await database.close()

    def shell(*words: str) -> str:
        done = runner.invoke(app, ["--home", str(tmp_path), *words])
        assert done.exit_code == 0, done.exception
        return done.output

    runner = CliRunner()
    told = await asyncio.to_thread(shell, "refunds")
    assert all(word in told for word in ("pay-7", "2.40", "open", "acme/lobby-1"))
    await asyncio.to_thread(shell, "refunds", "end", "acme/lobby-1", "pay-7", "--how", "by bank")
    assert "pay-7" not in await asyncio.to_thread(shell, "refunds")
    assert "ended: by bank" in await asyncio.to_thread(shell, "refunds", "--all")
    assert '"how": "by bank"' in await asyncio.to_thread(shell, "refunds", "--all", "--json")
