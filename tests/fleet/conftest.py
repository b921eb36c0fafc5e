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
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'fleet.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"fleet{next(_NUMBERS)}"
    yield server.make_database(name)
    # Three hundred files each: all of them at the end would take longer than a test may.
    server.drop_database(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[FleetDatabase]:
    made = FleetDatabase(database_url)
    await upgrade(made)
    yield made
    await made.close()
