"""What one of several processes does for all, on both databases: by one at a time."""

import asyncio
from pathlib import Path

import pytest

from cloud.fleet import service
from cloud.fleet.database import FleetDatabase
from cloud.fleet.duties import LEASE_MS, Duty, given_back, taken
from cloud.fleet.home import Home
from cloud.fleet.ingest import presence
from config.fleet import FleetBroker, FleetSettings
from config.fleet import FleetDatabase as DatabaseOf
from tests.fleet.machines import START

PLENTY_S = 60.0


async def test_a_lease_is_one_process_s_until_it_ends_or_is_given_back(
    database: FleetDatabase,
) -> None:
    assert await taken(database, "ends", "one", START)
    assert await taken(database, "ends", "one", START + LEASE_MS // 4), "kept"
    assert not await taken(database, "ends", "two", START + LEASE_MS), "one has taken it anew"
    assert await taken(database, "silence", "two", START), "each is one by itself"

    await given_back(database, "ends", "two")
    assert not await taken(database, "ends", "two", START), "who has none can't give it back"
    assert await taken(database, "ends", "two", START + LEASE_MS + LEASE_MS // 4), "it has ended"
    assert not await taken(database, "ends", "one", START + LEASE_MS + LEASE_MS // 4)
    await given_back(database, "ends", "two")
    assert await taken(database, "ends", "one", START)


async def test_a_lease_that_a_wrong_clock_took_for_years_is_none(database: FleetDatabase) -> None:
    assert await taken(database, "ends", "one", START + 10 * 365 * 24 * 3_600_000)
    assert await taken(database, "ends", "two", START)


async def test_of_ten_that_ask_at_once_one_has_it(database: FleetDatabase) -> None:
    for now_ms in (START, START + 2 * LEASE_MS):
        asked = (taken(database, "ends", f"p{now_ms}{n}", now_ms) for n in range(10))
        assert sum(await asyncio.gather(*asked)) == 1


async def test_who_can_t_do_it_leaves_it_to_another(database: FleetDatabase) -> None:
    hears = True
    done: asyncio.Queue[str] = asyncio.Queue()

    async def first() -> None:
        done.put_nowait("one")

    async def second() -> None:
        done.put_nowait("two")

    one = Duty(database, "silence", "one", lambda: START, 0.01, first, lambda: hears)
    two = Duty(database, "silence", "two", lambda: START, 0.01, second)
    async with asyncio.timeout(PLENTY_S), asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run())]
        assert await done.get() == "one"
        tasks.append(group.create_task(two.run()))
        for _ in range(5):
            assert await done.get() == "one"
        hears = False
        while await done.get() != "two":
            pass
        assert (one.held, two.held) == (False, True)
        hears = True
        for _ in range(5):
            assert await done.get() == "two"
        for task in reversed(tasks):
            task.cancel()
    assert await taken(database, "silence", "three", START), "it was given back at the end"


async def test_of_two_servers_one_looks_for_silence_and_the_other_when_it_has_gone(
    database: FleetDatabase,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "SILENCE_S", 0.01)
    looks: asyncio.Queue[int] = asyncio.Queue()

    async def sweep(_database: FleetDatabase, since_ms: int, _now_ms: int) -> list[int]:
        looks.put_nowait(since_ms)
        return []

    monkeypatch.setattr(presence, "sweep", sweep)
    settings = FleetSettings(broker=FleetBroker(tls=False), database=DatabaseOf(url=database_url))
    servers = [service.Service(settings, Home(tmp_path), shared=True, name=f"w{n}") for n in (1, 2)]
    tasks = []
    for number, server in enumerate(servers):
        way = server.ways["broker"]
        way.connected_ms = number
        way.connected.set()
        tasks.append(asyncio.create_task(server.duties[1].run()))
    async with asyncio.timeout(PLENTY_S):
        first = await looks.get()
        for _ in range(20):
            assert await looks.get() == first, "one of them alone"
        servers[first].ways["broker"].connected.clear()  # it hears its broker no more
        while await looks.get() == first:
            pass
        assert not servers[first].duties[1].held
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for server in servers:
        await server.database.close()
