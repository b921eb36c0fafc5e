"""Claims over forks: each is one claim, by one number, in every journal that it outlives."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.contract.commands import Role
from cloud.contract.topics import Address
from cloud.fleet import orders, registry, reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.projections.rebuild import rebuild
from cloud.fleet.registry import RegistryError
from cloud.fleet.signatory import signatory_of
from cloud.fleet.signer import make_key, make_root
from cloud.link.acks import Forked, meaning_of
from config.fleet import FleetSigner
from controller.clock import SystemClock
from controller.journal import records as rec
from controller.journal.beginning import BootInfo, begin_new
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.state.fold import StateFold
from controller.state.state import State
from tests.fleet.books import known, open_books, sell_many
from tests.fleet.machines import START, Machine
from tests.journal_kit import BUILT

LOBBY = Address("acme", "lobby-1")


def promise(books: Journal[State], amount: int) -> int:
    """Stage a return of coins that can't be paid and becomes a claim; its number."""
    lot = books.stage(
        rec.CoinsDeposited(device="changer", answer="", coins=((2, amount, "cashbox", 0),))
    ).seq
    vend = books.stage(
        rec.CreditReturnOpened(amount=amount, reason="coin return"), vend=books.next_seq
    ).seq
    lots = ((lot, amount),)
    books.stage(rec.ShortfallBooked(coins=amount, bills=0, lots=lots), vend=vend)
    opened = rec.ClaimOpened(
        amount=amount, tender="cash", code=f"{amount:020}", reason="no coins", lots=lots
    )
    seq = books.stage(opened, vend=vend).seq
    books.stage(rec.VendClosed(result="claimed"), vend=vend)
    return seq


def pay(books: Journal[State], amount: int) -> None:
    """Stage that staff have paid the open claim over ``amount``."""
    claim = next(one for one in books.state.claims.values() if one.amount == amount)
    books.stage(
        rec.ClaimClosed(claim=claim.seq, amount=amount, tender="cash", how="staff", **claim.named())
    )


class Site:
    """A fleet's database, and a machine whose disks come and go."""

    def __init__(self, database: FleetDatabase, folder: Path) -> None:
        self.database = database
        self.ingest = Ingest(database)
        self.folder = folder

    async def open(self, name: str) -> Journal[State]:
        return await open_books(self.folder / name)

    def copy(self, name: str, to: str) -> None:
        shutil.copytree(self.folder / name, self.folder / to)

    async def fork(self, name: str, seq: int, seed: int) -> None:
        await begin_new(
            DirectoryStorage(self.folder / name),
            fold=StateFold(),
            registry=rec.REGISTRY,
            clock=SystemClock(),
            entropy=random.Random(seed).randbytes,
            boot=BootInfo("lobby-1", "EUR", "0.1.0", "", BUILT),
            reason="the fleet holds another journal",
            by="fleet",
            fork=seq,
        )

    async def tell(self, books: Journal[State], *, adopt: bool = False) -> str:
        await books.commit()
        machine = Machine()
        machine.journal = books.journal_id
        machine.rows = [row async for row in books.rows()]
        for message in machine.batches(20):
            verdict = await self.ingest.take(LOBBY, message, START)
            assert verdict.ack is not None, verdict
        assert verdict.ack is not None
        assert verdict.ack.seq == books.durable_seq, verdict
        if adopt:
            await registry.adopt_journal(self.database, LOBBY, books.journal_id, START)
        return books.journal_id.hex()

    async def open_claims(self) -> dict[tuple[str, int], int]:
        lines = await reports.claims(self.database, LOBBY)
        return {(line["journal"], line["claim"]): line["amount"] for line in lines}


def identities(books: Journal[State]) -> dict[tuple[str, int], int]:
    own = books.journal_id.hex()
    return {
        (claim.identity[0] or own, claim.identity[1]): claim.amount
        for claim in books.state.claims.values()
    }


async def test_a_claim_keeps_its_number_over_forks_and_the_fleet_closes_the_right_one(
    database: FleetDatabase, tmp_path: Path
) -> None:
    await known(database, LOBBY)
    site = Site(database, tmp_path)
    books = await site.open("disk")
    early = promise(books, 110)
    await books.commit()
    fork = books.durable_seq
    await books.close()
    site.copy("disk", "image")

    books = await site.open("disk")
    late = promise(books, 120)  # on the disk that will be lost
    first = await site.tell(books)
    await books.close()

    # The disk goes back, and promises something else where the fleet knows a promise.
    books = await site.open("image")
    promise(books, 130)
    promise(books, 140)
    await books.commit()
    await books.close()
    await site.fork("image", fork, 2)
    books = await site.open("image")
    second = await site.tell(books, adopt=True)

    ours = identities(books)
    assert {amount for (journal, _), amount in ours.items() if journal == second} == {130, 140}
    assert ours[first, early] == 110
    assert all(claim.fleet_only for claim in books.state.claims.values())
    assert await site.open_claims() == {**ours, (first, late): 120}

    # What is paid behind the fork closes its own row: of before, and of what was carried.
    pay(books, 110)
    pay(books, 130)
    promise(books, 150)
    await site.tell(books)
    assert sorted((await site.open_claims()).values()) == [120, 140, 150]
    await books.close()

    # A fork of the fork: nothing shares a number, and what was carried is the same claim still.
    site.copy("image", "again")
    books = await site.open("image")
    promise(books, 160)
    await site.tell(books)
    await books.close()
    books = await site.open("again")
    at = books.durable_seq - 1  # its start is another one than that which the fleet knows
    promise(books, 170)
    pay(books, 140)
    await books.commit()
    await books.close()
    await site.fork("again", at, 3)
    books = await site.open("again")
    third = await site.tell(books, adopt=True)
    told = await site.open_claims()
    assert sorted(told.values()) == [120, 150, 160, 170]
    assert {amount for (journal, _), amount in told.items() if journal == third} == {170}
    assert identities(books).items() <= told.items()

    before = await reports.sales(database, LOBBY)
    await rebuild(database, START)
    assert await site.open_claims() == told
    assert await reports.sales(database, LOBBY) == before
    await books.close()


async def test_a_claim_of_the_lost_chain_is_closed_by_the_answer_of_a_machine_that_knows_it_not(
    database: FleetDatabase, tmp_path: Path
) -> None:
    await known(database, LOBBY)
    site = Site(database, tmp_path)
    books = await site.open("disk")
    await books.commit()
    fork = books.durable_seq
    await books.close()
    site.copy("disk", "image")
    books = await site.open("disk")
    late = promise(books, 120)
    first = await site.tell(books)
    await books.close()
    await site.fork("image", fork, 2)
    books = await site.open("image")
    await site.tell(books, adopt=True)
    home = Home(tmp_path / "home")
    make_root(home, b"r" * 32)
    make_key(home, "acme-1", "acme", tuple(Role), b"k" * 32, START)

    args = await orders.completed(database, LOBBY, "claim.close", {"claim": late, "how": "bank"})
    assert args["journal"] == first
    await orders.send(
        database,
        signatory_of(FleetSigner(), home, lambda: START),
        LOBBY,
        "claim.close",
        args,
        command_id="c1",
        issuer="anna",
        now_ms=START,
    )
    books.stage(
        rec.CommandFinished(
            id="c1",
            kind="claim.close",
            outcome="done",
            expires_ms=START + 1,
            result={"claim": late, "open": False},
        )
    )
    await site.tell(books)

    assert await site.open_claims() == {}
    (line,) = await reports.claims(database, LOBBY, closed=True)
    assert (line["amount"], line["how"]) == (120, "bank")
    async with database.reading() as connection:
        (row,) = (await connection.execute(select(t.command))).all()
    assert row.result == '{"claim": %d, "open": false}' % late  # noqa: UP031 - braces
    await rebuild(database, START)
    assert await site.open_claims() == {}
    await books.close()


async def sold(database: FleetDatabase) -> int:
    lines = await reports.sales(database, LOBBY)
    return sum(line["result"] == "sold" for line in lines)


async def test_an_old_disk_that_is_put_in_again_goes_on_in_a_journal_of_its_own(
    database: FleetDatabase, tmp_path: Path
) -> None:
    await known(database, LOBBY)
    site = Site(database, tmp_path)
    books = await site.open("disk")
    promise(books, 110)
    first = bytes.fromhex(await site.tell(books))
    fork = books.durable_seq
    await books.close()
    site.copy("disk", "new")
    await site.fork("new", fork, 2)
    books = await site.open("new")
    promise(books, 120)
    second = bytes.fromhex(await site.tell(books, adopt=True))
    await books.close()

    # The old disk again: what it does is stored, and counts in no books yet.
    books = await site.open("disk")
    promise(books, 130)
    await sell_many(books, 3)
    await site.tell(books)
    assert await sold(database) == 0
    with pytest.raises(RegistryError, match="take-back acme/lobby-1"):
        await registry.adopt_journal(database, LOBBY, first, START)
    with pytest.raises(RegistryError, match="the one in use"):
        await registry.take_back(database, LOBBY, second)
    end = await registry.take_back(database, LOBBY, first)
    assert end == fork < books.durable_seq, "that is where it stopped to count"

    before = books.durable_seq
    machine = Machine()
    machine.journal, machine.rows = first, [row async for row in books.rows()]
    heard = await site.ingest.heard(LOBBY, machine.presence(), START)
    promise(books, 140)
    await books.commit()
    machine.rows = [row async for row in books.rows()]
    sent = await site.ingest.take(LOBBY, machine.batch(before + 1), START)
    assert heard is not None
    assert sent.ack is not None
    for ack in (heard, sent.ack):
        meaning = meaning_of(ack, first, books.durable_seq, machine.rows[ack.seq - 1][3])
        assert meaning == Forked(fork, machine.rows[fork - 1][3])
    await books.close()

    # What it sold there is told again, and counts once.
    await site.fork("disk", fork, 3)
    books = await site.open("disk")
    third = await site.tell(books, adopt=True)
    assert {line["journal"] for line in await reports.journals(database, LOBBY)} == {
        first.hex(), second.hex(), third
    }  # fmt: skip
    balances = await reports.balances(database, LOBBY)
    own = books.state.ledger.trial_balance()
    assert balances == {
        row.account: row.debit - row.credit for row in own if row.debit != row.credit
    }
    assert all(claim.fleet_only for claim in books.state.claims.values())
    for _ in range(2):
        assert await sold(database) == 3
        assert sorted((await site.open_claims()).values()) == [110, 120, 130, 140]
        await rebuild(database, START)
    await books.close()
