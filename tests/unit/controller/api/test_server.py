"""The socket: lines, limits, events, and what is left behind."""

import asyncio
import gc
import json
import socket
import stat
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.api.access import Access
from controller.api.methods import dispatcher
from controller.api.server import (
    MAX_BATCH,
    MAX_CLIENTS,
    MAX_LINE_BYTES,
    MAX_WAITING,
    ApiServer,
    Session,
)
from controller.faults import ConfigError, VenddError


class Client:
    """One connection; leaving it waits until the server has let it go."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, line: str | bytes) -> None:
        self.writer.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
        await self.writer.drain()

    async def hear(self) -> Any:
        return json.loads(await asyncio.wait_for(self.reader.readline(), 10))

    async def leave(self) -> None:
        if self.writer.can_write_eof() and not self.reader.at_eof():
            self.writer.write_eof()
            await asyncio.wait_for(self.reader.read(), 10)
        self.writer.close()
        await self.writer.wait_closed()


@asynccontextmanager
async def connect(server: ApiServer) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_unix_connection(str(server.path)))
    try:
        yield client
    finally:
        await client.leave()


async def ask(server: ApiServer, line: str | bytes) -> Any:
    async with connect(server) as client:
        await client.say(line)
        return await client.hear()


def call(method: str, request: int = 1, **params: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": request, "method": method, "params": params})


async def test_a_call_is_answered_on_its_line(server: ApiServer) -> None:
    answer = await ask(server, call("status", 7))
    assert answer["id"] == 7
    assert answer["result"]["machine"] == "demo"


async def test_calls_of_one_client_are_answered_in_order(server: ApiServer) -> None:
    async with connect(server) as client:
        client.writer.write(
            "\n".join([call("stock.show", 1), "", call("ledger.show", 2), ""]).encode()
        )
        assert [(await client.hear())["id"] for _ in range(2)] == [1, 2]


async def test_a_line_may_come_byte_by_byte(server: ApiServer) -> None:
    async with connect(server) as client:
        for byte in call("credit.show", 3).encode() + b"\n":
            client.writer.write(bytes([byte]))
            await client.writer.drain()
        assert (await client.hear())["id"] == 3


async def test_a_batch_is_answered_as_one(server: ApiServer) -> None:
    batch = f"[{call('status', 1)}, {call('coins.show', 2)}]"
    assert [one["id"] for one in await ask(server, batch)] == [1, 2]


async def test_what_is_no_request_spoils_no_other_of_its_batch(server: ApiServer) -> None:
    batch = f'[{call("status", 1)}, 1, {{"foo": 1}}, [], {call("no.such", 2)}, {call("status", 1)}]'
    answers = await ask(server, batch)
    told = [(one["id"], one.get("error", {}).get("code")) for one in answers]
    no_request = (None, -32600)
    assert told == [(1, None), no_request, no_request, no_request, (2, -32601), (1, None)]


@pytest.mark.parametrize(
    ("method", "said"), [("status", "result"), ("no.such", "error"), ("vend.test", "error")]
)
async def test_a_request_whose_id_is_null_is_answered_with_null(
    server: ApiServer, method: str, said: str
) -> None:
    one = json.dumps({"jsonrpc": "2.0", "id": None, "method": method})
    answer = await ask(server, one)
    assert answer["id"] is None
    assert said in answer
    answers = await ask(server, f'[{one}, {{"jsonrpc": "2.0", "method": "status"}}]')
    assert [(answer["id"], said in answer) for answer in answers] == [(None, True)]


async def test_a_batch_of_notifications_is_not_answered(server: ApiServer, machine: Any) -> None:
    notice = '{"jsonrpc":"2.0","method":"stock.set","params":{"column":"B1","count":%d}}'
    async with connect(server) as client:
        await client.say(f"[{notice % 3}, {notice % 4}]")
        await client.say(call("status", 5))
        assert (await client.hear())["id"] == 5
    assert [told.count for told, _ in machine.told] == [3, 4]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", -32700),
        ("[1, 2", -32700),
        (b"\xff\xfe", -32700),
        ("[" * 9_000, -32700),
        ("9" * 5_000, -32700),
        ("42", -32600),
        ("[]", -32600),
        ('{"jsonrpc":"1.0","id":1,"method":"status"}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"status","params":3}', -32600),
        (f"[{', '.join(call('status', i) for i in range(MAX_BATCH + 1))}]", -32600),
        (call("no.such"), -32601),
        (call("status", verbose=True), -32602),
        (call("stock.set", column="A1"), -32602),
        (call("stock.set", column="A1", count="3"), -32602),
        (call("stock.set", column="A1", count=-1), -32602),
        (call("stock.set", column="Z9", count=1), -32003),
        (call("trace", seq=999), -32003),
        (call("trace", seq=1), -32003),
        (call("vend.test", column="A1"), -32002),
    ],
)
async def test_bad_input_gets_its_error_code_and_the_connection_lives(
    server: ApiServer, line: str | bytes, code: int
) -> None:
    async with connect(server) as client:
        await client.say(line)
        assert (await client.hear())["error"]["code"] == code
        await client.say(call("status", 5))
        assert (await client.hear())["id"] == 5


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
CALLS = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "method": st.sampled_from(["stock.set", "trace", "status", "x"])},
    optional={"id": ANYTHING, "params": ANYTHING | st.fixed_dictionaries({"column": ANYTHING})},
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.binary(max_size=40) | (CALLS | ANYTHING).map(json.dumps).map(str.encode))
def test_no_line_brings_the_server_down(machine: Any, line: bytes) -> None:
    async def answer() -> str | None:
        access = Access()
        server = ApiServer(Path("unused"), dispatcher(machine, access), access)
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours, theirs:
            return await server._answer(line, Session(access.caller(ours)))

    text = asyncio.run(answer())
    assert text is None or "jsonrpc" in text


async def test_wrong_parameters_are_named(server: ApiServer) -> None:
    answer = await ask(server, call("stock.set", column="", count=1_000))
    message = answer["error"]["message"]
    assert "column: " in message
    assert "count: " in message
    assert "999" in message


async def test_a_refusal_says_what_to_do(server: ApiServer) -> None:
    answer = await ask(server, call("vend.test", column="A1"))
    assert "vendctl service on" in answer["error"]["message"]


async def test_a_line_that_never_ends_is_answered_and_cut_off(server: ApiServer) -> None:
    async with connect(server) as client:
        client.writer.write(b"x" * (MAX_LINE_BYTES + 1))
        answer = await client.hear()
        assert answer["error"]["code"] == -32600
        assert str(MAX_LINE_BYTES) in answer["error"]["message"]
        assert await client.reader.read() == b""


async def test_one_client_too_many_is_told_so(server: ApiServer) -> None:
    async with AsyncExitStack() as stack:
        for index in range(MAX_CLIENTS):
            client = await stack.enter_async_context(connect(server))
            await client.say(call("status", index))
            assert (await client.hear())["id"] == index
        late = await stack.enter_async_context(connect(server))
        assert (await late.hear())["error"]["code"] == -32004
        assert await late.reader.read() == b""
    assert "result" in await ask(server, call("status"))


async def test_a_bug_behind_a_call_is_an_answer_without_its_secrets(
    server: ApiServer, machine: Any
) -> None:
    del machine.state.currency
    answer = await ask(server, call("ledger.show"))
    assert answer["error"] == {"code": -32000, "message": "Server error"}


async def test_a_fault_behind_a_call_is_explained(server: ApiServer, machine: Any) -> None:
    async def broken() -> None:
        raise VenddError("the disk is gone")

    machine.journal.verify = broken
    answer = await ask(server, call("journal.verify"))
    assert answer["error"] == {"code": -32000, "message": "the disk is gone"}


# --------------------------------------------------------------------------------- watching


async def test_events_come_between_answers(server: ApiServer, machine: Any) -> None:
    async with connect(server) as client:
        await client.say(call("watch.start", 1))
        assert (await client.hear())["result"] == {"watching": True}
        await client.say(call("watch.start", 2))  # twice is once
        assert (await client.hear())["id"] == 2
        await client.say(call("stock.set", 3, column="B1", count=4))
        event, answer = await client.hear(), await client.hear()
        assert event["method"] == "watch.event"
        assert event["params"]["record"]["type"] == "stock.set"
        assert answer["id"] == 3
        await client.say(call("service.enter", 4))
        kinds = [(await client.hear()).get("params", {}).get("kind") for _ in range(4)]
        assert kinds == ["record", "mode", "display", None]
        assert len(machine.sinks) == 1
    assert machine.sinks == []


async def test_a_slow_watcher_loses_events_and_is_told_how_many(
    server: ApiServer, machine: Any
) -> None:
    async with connect(server) as client:
        await client.say(call("watch.start"))
        await client.hear()
        for number in range(MAX_WAITING + 50):
            machine.tell({"kind": "mode", "mode": str(number)})
        await client.say(call("status", 2))  # still answered
        heard = []
        while (message := await client.hear()).get("id") != 2:
            heard.append(message["params"]["mode"])
        assert heard == [str(number) for number in range(len(heard))]
        assert 0 < len(heard) < MAX_WAITING
        machine.tell({"kind": "mode", "mode": "after"})
        lost = (await client.hear())["params"]
        assert lost == {"kind": "lost", "events": MAX_WAITING + 50 - len(heard)}
        assert (await client.hear())["params"]["mode"] == "after"


# --------------------------------------------------------------------------------- the file


async def test_the_socket_file_goes_with_the_server(machine: Any, tmp_path: Path) -> None:
    access = Access()
    path = tmp_path / "s"
    server = ApiServer(path, dispatcher(machine, access), access)
    task = asyncio.create_task(server.serve())
    await server.listening.wait()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with connect(server) as client:
        await client.say(call("status"))
        await client.hear()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await client.reader.read() == b""
    assert not path.exists()


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_is_on_its_way_at_the_end_is_ended(
    machine: Any, tmp_path: Path, turns: int
) -> None:
    access = Access()
    server = ApiServer(tmp_path / "s", dispatcher(machine, access), access)
    task = asyncio.create_task(server.serve())
    await server.listening.wait()
    with socket.socket(socket.AF_UNIX) as late:
        late.connect(str(server.path))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gc.collect()  # a socket that nobody closed would warn, which is an error
        late.settimeout(5)
        with suppress(ConnectionResetError):  # where nobody had accepted it
            assert late.recv(1) == b""


async def test_a_file_that_a_killed_vendd_left_is_replaced(machine: Any, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    access = Access()
    server = ApiServer(path, dispatcher(machine, access), access)
    task = asyncio.create_task(server.serve())
    await asyncio.wait_for(server.listening.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_second_vendd_on_the_same_socket_is_refused(
    server: ApiServer, machine: Any
) -> None:
    access = Access()
    with pytest.raises(VenddError, match="another vendd answers"):
        await ApiServer(server.path, dispatcher(machine, access), access).serve()
    assert "result" in await ask(server, call("status"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("file", "is no socket"),
        ("missing/s", "folder is not there"),
        ("x" * 120, "too long"),
    ],
)
async def test_a_path_that_can_be_no_socket_says_why(
    machine: Any, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "file").write_text("not a socket")
    access = Access()
    with pytest.raises(ConfigError, match=words):
        await ApiServer(tmp_path / name, dispatcher(machine, access), access).serve()


async def test_a_client_that_takes_nothing_does_not_block_its_session() -> None:
    import os

    ours, theirs = socket.socketpair(socket.AF_UNIX)
    session = Session(Access().caller(ours))
    assert session.caller.pid == os.getpid()
    for _ in range(MAX_WAITING * 2):
        session.event({"kind": "mode"})
    await asyncio.wait_for(session.answer("there is room for answers"), 1)
    ours.close()
    theirs.close()
