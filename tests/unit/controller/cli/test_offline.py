"""The journal's commands while vendd is not running."""

import asyncio
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.clock import SystemClock
from controller.journal import records as rec
from controller.journal.beginning import BootInfo
from controller.journal.export import check_lines
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.state.fold import StateFold


async def fill(folder: Path) -> None:
    journal = await Journal.open(
        DirectoryStorage(folder),
        fold=StateFold(),
        registry=rec.REGISTRY,
        clock=SystemClock(),
        entropy=lambda n: bytes(range(n)),
        boot=BootInfo(
            machine="demo", currency="CHF", software="0.1.0", config_digest="",
            built=datetime(2026, 11, 1, tzinfo=UTC),
        ),
    )  # fmt: skip
    lot = journal.next_seq
    journal.stage(rec.CoinsDeposited(device="changer", answer="", coins=((2, 50, "tube", 1),)))
    journal.stage(rec.CreditReturnOpened(amount=50, reason="key"), vend=lot + 1)
    journal.stage(rec.ShortfallBooked(coins=50, bills=0, lots=((lot, 50),)), vend=lot + 1)
    journal.stage(rec.ClaimOpened(amount=50, tender="cash", code="1", reason="none"), vend=lot + 1)
    journal.stage(rec.VendClosed(result="claimed"), vend=lot + 1)
    await journal.commit()
    await journal.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a machine's folder whose vendd has ended."""
    asyncio.run(fill(tmp_path / "journal"))
    return tmp_path


def database(home: Path) -> Path:
    (path,) = (home / "journal").glob("journal-*.db")
    return path


def last_seq(home: Path) -> int:
    path = database(home)
    connection = sqlite3.connect(path)
    (seq,) = connection.execute("SELECT max(seq) FROM record").fetchone()
    connection.close()
    return int(seq)


def test_the_journals_commands_read_its_file(vendctl: Any, home: Path) -> None:
    last = last_seq(home)
    ended = vendctl("--home", home, "journal", "tail")
    assert ended.code == 0
    assert f"vendd is not running; reading the journal in {home}/journal" in ended.err
    assert ended.lines[-1].split()[:3:2] == [str(last), "vend.closed"]
    assert vendctl("--home", home, "journal", "verify").out.startswith(f"verified: {last} records")
    assert check_lines(vendctl("--home", home, "journal", "export").lines) == last
    shown = vendctl("--home", home, "journal", "show", last, "--json")
    assert json.loads(shown.out)[0]["type"] == "vend.closed"


def test_money_is_traced_in_a_file(vendctl: Any, home: Path) -> None:
    ended = vendctl("--home", home, "trace", last_seq(home))
    assert ended.code == 0
    assert "0.50 CHF in coins" in ended.out
    assert ended.lines[-1] == "now: 0.50 claimed"


def test_a_folder_can_be_named_for_one_command(vendctl: Any, home: Path, tmp_path: Path) -> None:
    ended = vendctl("journal", "verify", "--folder", home / "journal")
    assert (ended.code, ended.err) == (0, "")
    assert vendctl("trace", last_seq(home), "--folder", home / "journal").code == 0


@pytest.mark.parametrize("words", ["journal show 999", "trace 999", "trace 1"])
def test_what_is_not_in_the_file_ends_with_its_code(vendctl: Any, home: Path, words: str) -> None:
    assert vendctl("--home", home, *words.split()).code == 6


def test_other_commands_still_need_vendd(vendctl: Any, home: Path) -> None:
    assert vendctl("--home", home, "status").code == 3


def test_a_folder_without_a_journal_says_so(vendctl: Any, tmp_path: Path) -> None:
    ended = vendctl("journal", "verify", "--folder", tmp_path)
    assert ended.code == 6
    assert "no journal in" in ended.err
    assert vendctl("--home", tmp_path, "journal", "verify").code == 3


def test_a_disk_that_cannot_be_read_says_so(vendctl: Any, home: Path) -> None:
    (home / "journal" / "journal.id").unlink()
    (home / "journal" / "journal.id").mkdir()
    ended = vendctl("--home", home, "journal", "tail")
    assert ended.code == 7
    assert "Traceback" not in ended.err
    assert str(home) in ended.err


def test_a_damaged_journal_does_not_verify_and_is_shown_as_far_as_it_goes(
    vendctl: Any, home: Path
) -> None:
    connection = sqlite3.connect(database(home))
    connection.execute("UPDATE record SET body = x'00' WHERE seq = 3")
    connection.commit()
    connection.close()
    ended = vendctl("--home", home, "journal", "verify")
    assert ended.code == 1
    assert "NOT VERIFIED: record 3" in ended.out
    tail = vendctl("--home", home, "journal", "tail", "-n", 100)
    assert tail.code == 1
    assert [line.split()[0] for line in tail.lines] == ["1", "2"]
    assert "record 3" in tail.err


def test_a_journal_whose_first_record_is_gone_still_names_its_currency(
    vendctl: Any, home: Path
) -> None:
    connection = sqlite3.connect(database(home))
    connection.execute("UPDATE record SET body = x'00' WHERE seq = 1")
    connection.commit()
    connection.close()
    ended = vendctl("journal", "show", 3, "--folder", home / "journal")
    assert ended.code == 0
