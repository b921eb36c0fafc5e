"""Both databases, started once for a run; their tables are made once, and copied for each test.

A broker and a journal are each test's own.
"""

import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine

from cloud.fleet.database import FleetDatabase
from cloud.fleet.migrate import config
from controller.journal.store import Journal
from controller.state.state import State
from tests.fleet.books import open_books
from tests.fleet.servers import Mosquitto, Postgres, running

_NUMBERS = count(1)
_TEMPLATE = "migrated"


def _migrate(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(config(connection), "head")
    engine.dispose()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    with running(server):
        _migrate(server.make_database(_TEMPLATE))
        yield server
    server.remove()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fleet") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        path = tmp_path / "fleet.db"
        shutil.copyfile(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"fleet{next(_NUMBERS)}"
    yield server.make_database(name, _TEMPLATE)
    # Three hundred files each: all of them at the end would take longer than a test may.
    server.drop_database(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[FleetDatabase]:
    made = FleetDatabase(database_url)
    yield made
    await made.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker")
    with running(made):
        yield made


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Journal[State]]:
    made = await open_books(tmp_path / "journal")
    yield made
    await made.close()
