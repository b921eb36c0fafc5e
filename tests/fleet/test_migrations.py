"""The migrations make the tables that the code works with, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.util import CommandError

from cloud.fleet.database import FleetDatabase
from cloud.fleet.migrate import config, current, newest, upgrade
from tests.fleet.servers import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FleetDatabase]:
    if request.param == "sqlite":
        made = FleetDatabase(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        made = FleetDatabase(server.make_database("empty"))
    yield made
    await made.close()
    if not made.is_sqlite:
        server.drop_database("empty")


async def test_the_migrations_end_at_the_schema(empty: FleetDatabase) -> None:
    assert await current(empty) is None
    await upgrade(empty)
    async with empty.writing() as connection:
        try:
            await connection.run_sync(lambda sync: command.check(config(sync)))
        except CommandError as error:
            raise AssertionError(str(error)) from error
    assert await current(empty) == newest()


async def test_upgrading_again_changes_nothing(database: FleetDatabase) -> None:
    await upgrade(database)

    assert await current(database) == newest()
    assert await database.alive()
