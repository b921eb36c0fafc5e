"""Sixteen places at the socket: who gets one, who gives way, and what a client that hangs keeps."""

import asyncio
import json
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.api.access import Access, Caller, Right
from controller.api.methods import dispatcher
from controller.api.server import MAX_CLIENTS, MAX_LINE_BYTES, ApiServer

PATIENCE_S = 60.0


class Ranks(Access):
    """Gives the first connections the rights it is told, and the later ones all."""

    def __init__(self, *rights: Right) -> None:
        super().__init__()
        self.rights = list(rights)

    def caller(self, connection: socket.socket) -> Caller:
        right = self.rights.pop(0) if self.rights else Right.ACT
        return Caller(0, 0, 0, frozenset(), right, "somebody")


class Client:
    """One connection."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, method: str = "status") -> Any:
        self.writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode())
        self.writer.write(b"\n")
        return await self.hear()

    async def hear(self) -> Any:
        line = await asyncio.wait_for(self.reader.readline(), PATIENCE_S)
        return json.loads(line) if line else None


Connect = Callable[[], Awaitable[Client]]


@asynccontextmanager
async def served(
    machine: Any, path: Path, *rights: Right, idle_s: float = 0.0
) -> AsyncIterator[Connect]:
    access = Ranks(*rights)
    server = ApiServer(path / "s", dispatcher(machine, access), access, idle_s)
    task = asyncio.create_task(server.serve())
    await asyncio.wait_for(server.listening.wait(), PATIENCE_S)
    writers: list[StreamWriter] = []

    async def connect() -> Client:
        reader, writer = await asyncio.open_unix_connection(str(server.path))
        writers.append(writer)
        return Client(reader, writer)

    try:
        yield connect
    finally:
        for writer in writers:
            writer.transport.abort()
        task.cancel()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), PATIENCE_S)


async def test_a_technician_gets_in_though_every_place_is_taken(
    machine: Any, tmp_path: Path
) -> None:
    async with served(machine, tmp_path) as connect:
        silent = [await connect() for _ in range(MAX_CLIENTS)]
        for client in silent:
            assert "result" in await client.ask()
        assert "result" in await silent[0].ask()  # so that the second is silent for longest
        late = await connect()
        assert "result" in await late.ask()
        told = await silent[1].hear()
        assert told["id"] is None
        assert "silent for longest" in told["error"]["message"]
        assert await silent[1].hear() is None
        for client in (silent[0], *silent[2:]):
            assert "result" in await client.ask()


async def test_who_only_watches_gives_way_after_who_does_nothing(
    machine: Any, tmp_path: Path
) -> None:
    async with served(machine, tmp_path) as connect:
        watcher = await connect()
        await watcher.ask("watch.start")
        silent = [await connect() for _ in range(MAX_CLIENTS - 1)]
        for client in silent:
            await client.ask()
        for client in silent:
            assert "result" in await (await connect()).ask()
            assert (await client.hear())["error"]
        machine.tell({"kind": "mode", "mode": "idle"})
        assert (await watcher.hear())["method"] == "watch.event"


async def test_who_has_just_spoken_keeps_the_place(machine: Any, tmp_path: Path) -> None:
    async with served(machine, tmp_path, idle_s=600.0) as connect:
        fresh = [await connect() for _ in range(MAX_CLIENTS)]
        for client in fresh:
            await client.ask()
        told = await (await connect()).hear()
        assert "room for no more" in told["error"]["message"]
        for client in fresh:
            assert "result" in await client.ask()


async def test_who_may_act_comes_before_who_may_read(machine: Any, tmp_path: Path) -> None:
    rights = [Right.READ] * (MAX_CLIENTS - 1) + [Right.NOTHING]
    async with served(machine, tmp_path, *rights, idle_s=600.0) as connect:
        readers = [await connect() for _ in range(MAX_CLIENTS - 1)]
        for client in readers:
            await client.ask()
        await connect()  # a stranger
        for _ in range(MAX_CLIENTS):  # at last a technician too many, among technicians
            assert "result" in await (await connect()).ask()
        for client in readers:
            assert (await client.hear())["error"]
        assert (await (await connect()).hear())["error"]


async def test_who_may_read_never_takes_a_technicians_place(machine: Any, tmp_path: Path) -> None:
    rights = [Right.ACT] * MAX_CLIENTS + [Right.READ]
    async with served(machine, tmp_path, *rights) as connect:
        technicians = [await connect() for _ in range(MAX_CLIENTS)]
        for client in technicians:
            await client.ask()
        assert (await (await connect()).hear())["error"]
        for client in technicians:
            assert "result" in await client.ask()


async def test_a_client_that_waits_for_its_answer_keeps_the_place(
    machine: Any, tmp_path: Path
) -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        begun.set()
        await end.wait()
        return {}

    machine.journal.verify = slow
    async with served(machine, tmp_path) as connect:
        waiting = await connect()
        asked = asyncio.create_task(waiting.ask("journal.verify"))
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
        for _ in range(MAX_CLIENTS * 2):
            assert "result" in await (await connect()).ask()
        end.set()
        assert (await asked)["result"] == {}


async def test_what_is_said_behind_a_dismissal_is_not_begun(machine: Any, tmp_path: Path) -> None:
    async with served(machine, tmp_path) as connect:
        silent = [await connect() for _ in range(MAX_CLIENTS)]
        for client in silent:
            await client.ask()
        told = len(machine.told)
        late = await connect()
        line = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "service.enter"}).encode() + b"\n"
        silent[0].writer.write(line)
        await late.ask()
        if "error" in await silent[0].hear():
            assert len(machine.told) == told
        else:  # it spoke before it was told, and so another gave way
            assert len(machine.told) == told + 1


@pytest.mark.parametrize("size", [1 << 20, 10 << 20])
async def test_a_line_of_megabytes_is_answered_with_the_reason(
    machine: Any, tmp_path: Path, size: int
) -> None:
    async with served(machine, tmp_path) as connect:
        client = await connect()
        client.writer.write(b"x" * size + b"\n")
        await asyncio.wait_for(client.writer.drain(), PATIENCE_S)
        assert str(MAX_LINE_BYTES) in (await client.hear())["error"]["message"]
        assert await client.hear() is None


async def test_a_stranger_with_a_line_of_megabytes_reads_why_too(
    machine: Any, tmp_path: Path
) -> None:
    async with served(machine, tmp_path, Right.NOTHING) as connect:
        client = await connect()
        client.writer.write(b"x" * (1 << 20) + b"\n")
        await asyncio.wait_for(client.writer.drain(), PATIENCE_S)
        assert "may not" in (await client.hear())["error"]["message"]


async def test_clients_that_take_nothing_hold_up_neither_others_nor_the_end(
    machine: Any, tmp_path: Path
) -> None:
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "status"}).encode() + b"\n"
    async with served(machine, tmp_path) as connect:
        for _ in range(MAX_CLIENTS):
            client = await connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own
            client.writer.write(line * 200)
        while True:  # as soon as what they asked for is stuck, their places are free
            got = await connect()
            if "result" in await got.ask():
                break
    # leaving ends the server within its patience, with sixteen answers that nobody takes
