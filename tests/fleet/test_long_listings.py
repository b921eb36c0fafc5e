"""A listing that is too long says so, and what is open longest is never what it leaves out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert
from typer.testing import CliRunner

from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.cli.app import app
from cloud.fleet.cli.listing import LINES
from cloud.fleet.database import FleetDatabase
from tests.fleet.books import known
from tests.fleet.machines import START, Machine

OPEN, CLOSED = LINES + 30, 40


def lines() -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """Rows of each table: first the open ones, the oldest first; then what has ended since."""
    yield (
        t.journal,
        [{
            "id": 1, "uid": bytes(16), "machine_id": 1, "next_seq": 1, "last_hash": b"",
            "adopted": True, "created_ms": START, "updated_ms": START,
        }],
    )  # fmt: skip
    count = range(1, OPEN + CLOSED + 1)
    ended = {number: None if number <= OPEN else START + number for number in count}
    yield (
        t.claim,
        [{
            "journal_id": 1, "seq": number, "machine_id": 1, "amount": 5, "tender": "cash",
            "code_end": "1234", "reason": "", "opened_ms": START + number,
            "closed_ms": ended[number],
        } for number in count],
    )  # fmt: skip
    yield (
        t.saga,
        [{
            "journal_id": 1, "vend": number, "machine_id": 1, "kind": "vend",
            "opened_ms": START + number, "closed_ms": ended[number],
        } for number in count],
    )  # fmt: skip
    yield (
        t.alert,
        [{
            "machine_id": 1, "cause": f"fault {number} x", "raised_ms": START + number,
            "closed_ms": ended[number],
        } for number in count],
    )  # fmt: skip
    yield (
        t.dead_letter,
        [{
            "machine_id": 1, "reason": "", "at_ms": START + number,
            "discarded_ms": ended[number],
        } for number in count],
    )  # fmt: skip
    yield (
        t.command,
        [{
            "id": f"{number:04}", "machine_id": 1, "kind": "echo", "target": "",
            "counter": number, "args": "{}", "message": b"", "issuer": "",
            "issued_ms": START + number, "expires_ms": START + 9**9,
            "outcome": "done" if ended[number] else "",
        } for number in count],
    )  # fmt: skip
    yield (
        t.refund,
        [{
            "journal_id": 1, "seq": number, "machine_id": 1, "tender": "app",
            "reference": f"pay-{number}", "amount": 1, "reason": "",
            "requested_ms": START + number,
        } for number in count],
    )  # fmt: skip
    yield (
        t.refund_end,
        [{
            "machine_id": 1, "tender": "app", "reference": f"pay-{number}", "how": "",
            "ended_ms": at,
        } for number, at in ended.items() if at],
    )  # fmt: skip


async def test_what_is_open_longest_is_told_before_all_else(database: FleetDatabase) -> None:
    await known(database, Machine().address)
    async with database.writing() as connection:
        for table, rows in lines():
            await connection.execute(insert(table), rows)

    few = await reports.claims(database, limit=20, closed=True)
    assert [line["claim"] for line in few] == list(range(20, 0, -1))
    assert (few.total, few.more) == (OPEN + CLOSED, OPEN + CLOSED - 20)
    most = await reports.claims(database, limit=OPEN + 5, closed=True)
    newest = range(OPEN + CLOSED, OPEN + CLOSED - 5, -1)
    assert [line["claim"] for line in most] == [*newest, *range(OPEN, 0, -1)]
    every = await reports.claims(database, closed=True)
    assert (len(every), every.total, every.more) == (OPEN + CLOSED, OPEN + CLOSED, 0)
    assert (await reports.commands(database, limit=1))[0]["id"] == "0001"
    assert (await reports.dead_letters(database, every=True, limit=1))[0]["id"] == 1
    assert (await reports.sales(database, limit=1))[0]["vend"] == 1


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "fleet.db").write_bytes(migrated_file.read_bytes())
    engine = create_engine(f"sqlite:///{folder / 'fleet.db'}")
    with engine.begin() as connection:
        machine = {"tenant": "acme", "name": "lobby-1", "created_ms": START}
        connection.execute(insert(t.machine), [machine])
        for table, rows in lines():
            connection.execute(insert(table), rows)
    engine.dispose()
    return folder


@pytest.mark.parametrize(
    ("command", "total"),
    [
        ("claims", OPEN),
        ("claims --all", OPEN + CLOSED),
        ("alerts", OPEN),
        ("dlq list", OPEN),
        ("refunds", OPEN),
        ("cmd show", OPEN + CLOSED),
        ("sales --each", OPEN + CLOSED),
    ],
)
def test_no_listing_is_cut_in_silence(home: Path, command: str, total: int) -> None:
    def shell(*words: str) -> str:
        done = CliRunner().invoke(app, ["--home", str(home), *command.split(), *words])
        assert done.exit_code == 0, done.exception
        return done.output

    assert f"and {total - LINES} more: --limit {total} shows all" in shell()
    assert len(json.loads(shell("--json"))) == total
    some = json.loads(shell("--json", "--limit", "3"))
    assert (some["total"], len(some["lines"])) == (total, 3)
    assert "more" not in shell("--limit", str(total))
