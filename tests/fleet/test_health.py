"""What a server says of itself while its database is away."""

import asyncio
from pathlib import Path

from cloud.fleet.home import Home
from cloud.fleet.service import Service
from config.fleet import FleetBroker, FleetDatabase, FleetSettings

PLENTY_S = 60.0


async def test_a_database_that_takes_questions_and_never_answers_is_not_ready(
    tmp_path: Path,
) -> None:
    asked: list[asyncio.StreamWriter] = []
    came = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        came.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = FleetSettings(
            database=FleetDatabase(url=f"postgresql+psycopg://fleet@127.0.0.1:{port}/fleet"),
            broker=FleetBroker(enabled=False),
        )
        service = Service(settings, Home(tmp_path))
        async with asyncio.timeout(PLENTY_S), service.database_closed():
            for _ in range(3):
                assert await service.ready() == {"database": False}
            await came.wait()
            assert len(asked) == 1, "questions that nobody answers do not pile up"
        for writer in asked:
            writer.close()
