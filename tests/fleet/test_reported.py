"""What only an urgent copy tells of is shown, marked, and paid to nobody."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.contract.journal import RecordData
from cloud.contract.journal import records as rec
from cloud.contract.messages import Urgent
from cloud.fleet import refunds, reports
from cloud.fleet.cli.app import app
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.orders import OrderRefusedError
from cloud.fleet.registry import adopt_journal
from cloud.fleet.reported import WORDS
from tests.fleet.machines import START, Machine, register

CLAIM = rec.ClaimOpened(code="1" * 16 + "4711", amount=150, tender="cash", reason="jam", lots=())
REFUND = rec.RefundRequested(tender="app", reference="pay-7", amount=240, reason="jam")


def copy_of(machine: Machine, seq: int) -> Urgent:
    _, boot, body, _ = machine.rows[seq - 1]
    return Urgent(journal=machine.journal.hex(), seq=seq, boot=boot, body=body)


def away() -> tuple[Machine, int, int, int]:
    """A machine with a claim and a refund at the end of a backlog; how much the fleet has of it."""
    machine = Machine()
    machine.begin()
    vend = machine.sell()
    there = machine.seq
    machine.sell()
    return machine, there, machine.write(CLAIM, vend=vend), machine.write(REFUND, vend=vend)


@pytest.mark.parametrize("heard", [False, True], ids=["of a first word", "behind what it has"])
async def test_a_claim_and_a_refund_that_overtook_their_records_are_listed_as_reported(
    database: FleetDatabase, heard: bool
) -> None:
    machine, there, claim, refund = away()
    await register(database, machine)
    ingest = Ingest(database)
    if heard:
        await ingest.take(machine.address, machine.batch(1, there), START)
    for seq in (claim, refund):
        await ingest.copied(machine.address, copy_of(machine, seq), START)

    (claimed,) = await reports.claims(database, machine.address)
    assert claimed["reported"]
    assert (claimed["claim"], claimed["amount"], claimed["code_end"]) == (claim, 150, "4711")
    (asked,) = await refunds.refunds(database)
    assert (asked["refund"], asked["reference"], asked["state"]) == (refund, "pay-7", "reported")
    with pytest.raises(OrderRefusedError, match="its record is not here yet"):
        await refunds.end(database, machine.address, "pay-7", "by bank", START)

    await ingest.take(machine.address, machine.batch(there + 1 if heard else 1), START)
    (claimed,) = await reports.claims(database, machine.address)
    assert (claimed["claim"], claimed["reported"]) == (claim, False)
    (asked,) = await refunds.refunds(database)
    assert (asked["refund"], asked["state"]) == (refund, "open")
    assert await refunds.end(database, machine.address, "pay-7", "by bank", START) == 240


async def test_a_copy_of_a_journal_that_does_not_count_is_not_listed(
    database: FleetDatabase,
) -> None:
    machine, _, _, _ = away()
    await register(database, machine)
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1), START)
    other = Machine(number=2)
    other.begin()
    claim = other.write(CLAIM)
    await ingest.copied(machine.address, copy_of(other, claim), START)
    assert [line["journal"] for line in await reports.claims(database)] == [machine.journal.hex()]
    await ingest.take(machine.address, other.batch(1, claim - 1), START)
    assert len(await reports.claims(database)) == 1
    await adopt_journal(database, machine.address, other.journal, START)
    assert [line["reported"] for line in await reports.claims(database)].count(True) == 1


async def test_a_bounded_listing_hides_no_reported_claim_behind_what_has_ended(
    database: FleetDatabase,
) -> None:
    machine = Machine()
    machine.begin()
    for _ in range(3):
        opened = machine.write(CLAIM)
        machine.write(rec.ClaimClosed(claim=opened, amount=150, tender="cash", how="staff"))
    first = machine.write(CLAIM)
    there = machine.seq
    ahead = machine.write(CLAIM)
    await register(database, machine)
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, there), START)
    await ingest.copied(machine.address, copy_of(machine, ahead), START)

    lines = await reports.claims(database, closed=True, limit=3)
    assert ([line["claim"] for line in lines][:2], lines.total) == ([ahead, first], 5)
    assert [line["claim"] for line in await reports.claims(database, limit=1)] == [first]


async def test_of_two_payments_with_one_reference_only_the_named_one_ends(
    database: FleetDatabase,
) -> None:
    machine = Machine()
    machine.begin()
    machine.write(REFUND)
    machine.write(REFUND.model_copy(update={"tender": "card", "amount": 90}))
    await register(database, machine)
    await Ingest(database).take(machine.address, machine.batch(1), START)

    with pytest.raises(OrderRefusedError, match="under app and card: say which, --tender"):
        await refunds.end(database, machine.address, "pay-7", "by bank", START)
    ended = await refunds.end(database, machine.address, "pay-7", "by bank", START, tender="card")
    assert ended == 90
    assert [line["tender"] for line in await refunds.refunds(database)] == ["app"]
    with pytest.raises(OrderRefusedError, match=r"'pay-7' \(card\) has ended: by bank"):
        await refunds.end(database, machine.address, "pay-7", "twice", START, tender="card")
    with pytest.raises(OrderRefusedError, match=r"no refund of 'pay-7' \(token\)"):
        await refunds.end(database, machine.address, "pay-7", "x", START, tender="token")
    assert await refunds.end(database, machine.address, "pay-7", "x", START, tender="app") == 240
    assert await refunds.refunds(database) == []


def with_a_right(machine: Machine, right: RecordData, used: RecordData) -> None:
    machine.write(right)
    opened = rec.VendOpened(selection="A1", column="A1", product="cola", price=150, item=1)
    vend = machine.write(opened, vend=machine.seq + 1)
    machine.write(rec.DispenseIntended(column="A1", attempt=1), vend=vend)
    machine.write(
        rec.DispenseFinished(column="A1", outcome="dropped", drops=1, run_ms=900), vend=vend
    )
    machine.write(used, vend=vend)
    machine.write(rec.VendClosed(result="sold"), vend=vend)


async def test_sales_say_with_what_they_were_paid(database: FleetDatabase) -> None:
    machine = Machine()
    machine.begin()
    machine.sell(150)
    at = machine.seq + 1
    with_a_right(
        machine,
        rec.RightGranted(id="order-1", kind="app", amount=240, by="fleet"),
        rec.RightUsed(right=at, kind="app", amount=240, worth=150),
    )
    at = machine.seq + 1
    with_a_right(
        machine,
        rec.TokenInserted(device="changer", coin=3),
        rec.RightUsed(right=at, kind="token", worth=150),
    )
    at = machine.seq + 1
    with_a_right(
        machine,
        rec.RightGranted(id="free-1", kind="free", by="fleet"),
        rec.RightUsed(right=at, kind="free", worth=150),
    )
    await register(database, machine)
    await Ingest(database).take(machine.address, machine.batch(1), START)

    lines = sorted(await reports.sales(database), key=lambda line: line["vend"])
    assert [(line["tender"], line["cash"], line["app"]) for line in lines] == [
        ("cash", 150, 0), ("app", 0, 150), ("token", 0, 0), ("free", 0, 0),
    ]  # fmt: skip
    (total,) = await reports.totals(database)
    assert (total["sold"], total["cash"], total["app"]) == (4, 150, 150)
    assert (total["tokens"], total["free"]) == (1, 1)
    balances = await reports.balances(database, machine.address)
    assert balances["revenue.app"] == -total["app"]


async def test_the_shell_marks_what_is_reported_and_tells_tenders(
    tmp_path: Path, migrated_file: Path
) -> None:
    (tmp_path / "fleet.db").write_bytes(migrated_file.read_bytes())
    database = FleetDatabase(f"sqlite+aiosqlite:///{tmp_path / 'fleet.db'}")
    machine, there, claim, refund = away()
    await register(database, machine)
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1, there), START)
    for seq in (claim, refund):
        await ingest.copied(machine.address, copy_of(machine, seq), START)
    await database.close()

    def shell(*words: str) -> str:
        done = CliRunner(env={"COLUMNS": "250"}).invoke(app, ["--home", str(tmp_path), *words])
        assert done.exit_code == 0, done.exception
        return done.output

    assert WORDS in await asyncio.to_thread(shell, "claims")
    assert WORDS in await asyncio.to_thread(shell, "refunds")
    assert '"reported": true' in await asyncio.to_thread(shell, "claims", "--json")
    assert "cash" in await asyncio.to_thread(shell, "sales", "--each")
    assert '"app": 0' in await asyncio.to_thread(shell, "sales", "--json")
