"""The migrations make the tables that the code works with, on both databases."""

from alembic import command
from alembic.util import CommandError

from cloud.fleet.database import FleetDatabase
from cloud.fleet.migrate import config, current, newest, upgrade


async def test_the_migrations_end_at_the_schema(database: FleetDatabase) -> None:
    async with database.writing() as connection:
        try:
            await connection.run_sync(lambda sync: command.check(config(sync)))
        except CommandError as error:
            raise AssertionError(str(error)) from error
    assert await current(database) == newest()


async def test_upgrading_again_changes_nothing(database: FleetDatabase) -> None:
    await upgrade(database)

    assert await current(database) == newest()
    assert await database.alive()
