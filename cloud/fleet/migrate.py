"""Bringing a database's tables to what this software knows: Alembic, without an ini file."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from cloud.fleet.database import FleetDatabase


class NotMigratedError(Exception):
    """The database's tables are of another version than this software's."""


_FOLDER = Path(__file__).parent / "migrations"


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's settings for one connection."""
    made = Config()
    made.set_main_option("script_location", str(_FOLDER))
    made.attributes["connection"] = connection
    return made


def newest() -> str:
    """Return the revision that this software works with."""
    found = ScriptDirectory.from_config(config()).get_current_head()
    assert found is not None, "there is a first revision"
    return found


async def current(database: FleetDatabase) -> str | None:
    """Return the revision of a database, or None when it is empty."""
    async with database.reading() as connection:
        return await connection.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_revision()
        )


async def upgrade(database: FleetDatabase) -> None:
    """Bring the tables to the newest revision; nothing when they are there."""
    async with database.writing() as connection:
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
