"""Both databases, started once for a run."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from cloud.fleet.database import FleetDatabase
from cloud.fleet.migrate import upgrade
from tests.fleet.servers import Postgres, running

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    with running(server):
        yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'fleet.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.make_database(f"fleet{next(_NUMBERS)}")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[FleetDatabase]:
    made = FleetDatabase(database_url)
    await upgrade(made)
    yield made
    await made.close()
