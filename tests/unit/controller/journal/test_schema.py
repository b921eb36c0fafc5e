from pathlib import Path

import pytest

from controller.faults import InvariantError
from controller.journal import schema
from controller.journal.database import Access
from controller.journal.errors import JournalNewerError
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage


async def test_a_new_file_gets_every_migration_once() -> None:
    storage = DiskStorage(Disk())
    database = await storage.open("x.db", Access.WRITE)
    assert await schema.version_of(database) == 0
    assert await schema.migrate(database) == len(schema.migrations())
    assert await schema.migrate(database) == 0
    assert await schema.version_of(database) == len(schema.migrations())
    assert await database.query("PRAGMA application_id") == [(schema.APPLICATION_ID,)]


async def test_an_older_file_grows_and_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    database = await DiskStorage(Disk()).open("x.db", Access.WRITE)
    await schema.migrate(database)
    await database.transaction([("INSERT INTO record VALUES (1, 1, x'00', x'01')", ())])
    added = (len(schema.migrations()) + 1, [("CREATE TABLE more (n INTEGER) STRICT", ())])
    steps = [*schema.migrations(), added]
    monkeypatch.setattr(schema, "migrations", lambda: steps)
    assert await schema.migrate(database) == 1
    assert await database.query("SELECT seq FROM record") == [(1,)]
    assert await database.query("SELECT count(*) FROM more") == [(0,)]


async def test_a_migration_that_fails_leaves_the_version_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = DiskStorage(Disk())
    database = await storage.open("x.db", Access.WRITE)
    await schema.migrate(database)
    have = await schema.version_of(database)
    statements = [("CREATE TABLE more (n INTEGER) STRICT", ()), ("CREATE NONSENSE", ())]
    steps = [*schema.migrations(), (have + 1, statements)]
    monkeypatch.setattr(schema, "migrations", lambda: steps)
    with pytest.raises(InvariantError):
        await schema.migrate(database)
    await database.close()
    again = await storage.open("x.db", Access.WRITE)
    assert await schema.version_of(again) == have
    assert await again.query("SELECT name FROM sqlite_schema WHERE name = 'more'") == []


async def test_a_newer_file_is_refused() -> None:
    database = await DiskStorage(Disk()).open("x.db", Access.WRITE)
    await database.transaction([("PRAGMA user_version=99", ())])
    with pytest.raises(JournalNewerError):
        await schema.migrate(database)


def test_migrations_are_numbered_without_a_gap(tmp_path: Path) -> None:
    (tmp_path / "0002_second.sql").write_text("SELECT 1;\n")
    with pytest.raises(InvariantError):
        schema.migrations_in(tmp_path)
