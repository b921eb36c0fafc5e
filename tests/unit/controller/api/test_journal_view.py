"""Journals for people: the one that is open, and the one in a folder."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.api.journal_view import StoreView, open_folder
from controller.api.trace import trace
from controller.clock import SystemClock
from controller.journal import records as rec
from controller.journal.beginning import BootInfo
from controller.journal.errors import JournalBrokenError, JournalMissingError
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.state.fold import StateFold
from controller.state.state import State

ROOT = Path(__file__).parents[4]
BOOT = BootInfo(
    machine="demo",
    currency="EUR",
    software="0.1.0",
    config_digest="",
    built=datetime(2026, 11, 1, tzinfo=UTC),
)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def damage(folder: Path, seq: int) -> None:
    (path,) = folder.glob("journal-*.db")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE record SET body = ? WHERE seq = ?", (b"not a body", seq))
    connection.commit()
    connection.close()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal[State]]:
    made = await Journal.open(
        DirectoryStorage(tmp_path),
        fold=StateFold(),
        registry=rec.REGISTRY,
        clock=SystemClock(),
        entropy=lambda n: bytes(range(n)),
        boot=BOOT,
    )
    lot = made.stage(
        rec.CoinsDeposited(device="changer", answer="", coins=((2, 50, "tube", 1),))
    ).seq
    vend = made.next_seq
    made.stage(
        rec.VendOpened(selection="A1", column="A1", product="water", price=50, item=1), vend=vend
    )
    made.stage(rec.CreditAuthorised(coins=50, bills=0, lots=((lot, 50),)), vend=vend)
    made.stage(rec.VendSettled(cash=50, lots=((lot, 50),)), vend=vend)
    made.stage(rec.VendClosed(result="sold"), vend=vend)
    await made.commit()
    yield made
    await made.close()


async def test_an_open_journal_is_read_without_disturbing_it(journal: Journal[State]) -> None:
    view = StoreView(journal)
    assert view.id == journal.journal_id.hex()
    assert (view.first, view.last) == (1, journal.durable_seq)
    assert [record.seq for record in await view.records(0, 3)] == [1, 2, 3]
    assert [record.seq for record in await view.records(5, 200)] == list(range(6, view.last + 1))
    assert await view.records(view.last, 10) == []
    report = await view.verify()
    assert report["ok"]
    assert report["records"] == view.last


async def test_behind_the_end_there_is_nothing_however_far_behind(journal: Journal[State]) -> None:
    for after in (journal.durable_seq, 2**63 - 1, 10**30):
        assert await StoreView(journal).records(after, 10) == []


async def test_a_folder_is_read_when_vendd_is_not_running(
    journal: Journal[State], tmp_path: Path
) -> None:
    last = journal.durable_seq
    lot = next(r.seq for r in await journal.read(1) if r.type == "coins.deposited")
    await journal.close()
    before = contents(tmp_path)
    async with open_folder(tmp_path) as view:
        assert (view.first, view.last) == (1, last)
        assert [record.seq for record in await view.records(2, 2)] == [3, 4]
        (way,) = (await trace(view, lot, currency="EUR"))["ways"]
        assert way["now"] == {"earned": 50}
        report = await view.verify()
    assert (report["ok"], report["records"]) == (True, last)
    assert contents(tmp_path) == before


LOOK = """
import asyncio, sys
from pathlib import Path
from controller.api.journal_view import open_folder

async def look():
    async with open_folder(Path(sys.argv[1])) as view:
        print(view.last)

asyncio.run(look())
"""


async def test_a_journal_that_vendd_has_open_is_not_read_behind_its_back(
    journal: Journal[State], tmp_path: Path
) -> None:
    # From a process of its own: the locks of a file are a process's.
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOOK, str(tmp_path), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 1
    assert b"DiskBusyError" in errors


async def test_a_folder_without_a_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalMissingError, match="no journal in"):
        async with open_folder(tmp_path):
            pass


async def test_a_broken_journal_is_shown_as_far_as_it_can_be_read(
    journal: Journal[State], tmp_path: Path
) -> None:
    await journal.close()
    damage(tmp_path, 4)
    async with open_folder(tmp_path) as view:
        assert [record.seq for record in await view.records(0, 100)] == [1, 2, 3]
        with pytest.raises(JournalBrokenError, match="record 4"):
            await view.records(3, 100)
        report = await view.verify()
    assert not report["ok"]
    assert report["last_good"] == 3
    assert "record 4" in report["problem"]
