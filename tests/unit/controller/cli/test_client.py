"""When nobody answers, or somebody else does."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from controller.cli import client as module
from controller.cli.client import Client
from controller.cli.errors import CliError, Exit


@contextmanager
def answering(path: Path, *lines: bytes, hang: bool = False) -> Iterator[None]:
    """Answer one connection with these lines, then hang up (or hang)."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"".join(lines))
            if hang:
                over.wait(30)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)
        listener.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def failure(act: Callable[[], object]) -> CliError:
    with pytest.raises(CliError) as caught:
        act()
    return caught.value


def test_no_socket_asks_whether_vendd_is_running(path: Path) -> None:
    error = failure(lambda: Client(path))
    assert error.code is Exit.NOT_RUNNING
    assert "is vendd running?" in str(error)
    assert "--home" in str(error)


def test_a_left_over_socket_says_so(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    error = failure(lambda: Client(path))
    assert error.code is Exit.NOT_RUNNING
    assert "left behind" in str(error)


def test_a_forbidden_socket_names_the_groups(path: Path) -> None:
    error = module._unreachable(path, PermissionError(13, "Permission denied"))
    assert error.code is Exit.NOT_PERMITTED
    assert "api.read_group" in str(error)


def test_a_path_that_can_be_no_socket_is_explained(path: Path) -> None:
    error = failure(lambda: Client(path.with_name("x" * 200)))
    assert error.code is Exit.NOT_RUNNING
    assert "cannot talk to" in str(error)


def test_an_answer_to_the_connection_is_an_answer_to_the_call(path: Path) -> None:
    refusal = {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": "not you"}}
    with answering(path, json.dumps(refusal).encode() + b"\n"), Client(path) as client:
        error = failure(lambda: client.call("status"))
    assert (error.code, str(error)) == (Exit.NOT_PERMITTED, "not you")


@pytest.mark.parametrize("line", [b"SSH-2.0-OpenSSH_9.2\r\n", b"42\n"])
def test_another_programs_socket_is_noticed(path: Path, line: bytes) -> None:
    with answering(path, line), Client(path) as client:
        error = failure(lambda: client.call("status"))
    assert "is no vendd" in str(error)


def test_a_vendd_that_ends_is_told_from_one_that_was_never_there(path: Path) -> None:
    with answering(path), Client(path) as client:
        error = failure(lambda: client.call("status"))
    assert "ended the connection" in str(error)


def test_a_vendd_that_does_not_answer_is_not_waited_for_for_ever(path: Path) -> None:
    with answering(path, hang=True), Client(path) as client:
        error = failure(lambda: client.call("status", timeout_s=0.05))
    assert "no answer within 0.05 s" in str(error)


def test_events_before_an_answer_are_kept(path: Path) -> None:
    event = b'{"jsonrpc":"2.0","method":"watch.event","params":{"kind":"mode"}}\n'
    answer = b'{"jsonrpc":"2.0","id":1,"result":[1]}\n'
    started = b'{"jsonrpc":"2.0","id":2,"result":{}}\n'
    with answering(path, event, answer, started, hang=True), Client(path) as client:
        assert client.call("status") == [1]
        assert next(client.events()) == {"kind": "mode"}


def test_events_come_until_vendd_ends(path: Path) -> None:
    started = b'{"jsonrpc":"2.0","id":1,"result":{}}\n'
    event = b'{"jsonrpc":"2.0","method":"watch.event","params":{"kind":"mode"}}\n'
    with answering(path, started, event, event), Client(path) as client:
        events = client.events()
        assert [next(events), next(events)] == [{"kind": "mode"}] * 2
        assert failure(lambda: next(events)).code is Exit.NOT_RUNNING


def test_a_watcher_that_must_give_way_is_told_why(path: Path) -> None:
    started = b'{"jsonrpc":"2.0","id":1,"result":{}}\n'
    away = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32004,"message":"another came"}}\n'
    with answering(path, started, away), Client(path) as client:
        events = client.events()
        error = failure(lambda: next(events))
    assert (error.code, str(error)) == (Exit.REFUSED, "another came")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":-32004,"message":"no room"}}\n', "no room"),
        (b"", "ended the connection"),
    ],
)
def test_who_is_refused_before_it_asks_reads_why(path: Path, said: bytes, words: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        with Client(path) as client:
            connection, _ = listener.accept()
            connection.sendall(said)
            connection.close()
            assert words in str(failure(lambda: client.call("status")))


def test_an_answer_that_breaks_off_is_told_as_that(path: Path) -> None:
    with answering(path, b'{"jsonrpc":"2.0","id":1,"resu'), Client(path) as client:
        error = failure(lambda: client.call("status"))
    assert error.code is Exit.NOT_RUNNING
    assert "in the middle of its answer" in str(error)


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"error":null}',
        b'{"jsonrpc":"2.0","id":1,"error":"no"}',
        b"[" * 100_000,
    ],
    ids=["no result", "no error", "an error without a code", "deep"],
)
def test_an_answer_that_is_none_is_told_as_that(path: Path, line: bytes) -> None:
    with answering(path, line + b"\n"), Client(path) as client:
        error = failure(lambda: client.call("status"))
    assert error.code is Exit.FAILED
    assert "is no vendd" in str(error)


def test_a_line_without_an_end_is_not_read_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1000)
    with answering(path, b"x" * 2000, hang=True), Client(path) as client:
        error = failure(lambda: client.call("status"))
    assert "is no vendd" in str(error)


def test_a_file_that_is_no_socket_is_told_as_that(path: Path) -> None:
    path.write_text("a file", encoding="utf-8")
    assert str(failure(lambda: Client(path))) == f"{path} is no socket"


def test_a_full_queue_of_connections_is_waited_for(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.bind(str(path))
        listener.listen(0)
        stack.enter_context(Client(path))  # fills the queue
        late = threading.Thread(target=lambda: stack.enter_context(Client(path)))
        late.start()
        for _ in range(2):  # only now somebody takes them up
            stack.enter_context(listener.accept()[0])
        late.join(30)
        assert not late.is_alive()


def test_a_queue_that_stays_full_is_explained(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        with Client(path):
            error = failure(lambda: Client(path))
    assert error.code is Exit.NOT_RUNNING
    assert "takes no connection" in str(error)
