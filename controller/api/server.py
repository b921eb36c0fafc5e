"""The unix socket: bounded lines, bounded clients, each answered in turn.

One line is one JSON-RPC 2.0 message (or batch). Requests of a client are answered in order;
``watch.event`` notifications come in between. Who may do what is decided per connection by the
kernel's word on the peer (``controller.api.access``) and per method (``controller.api.methods``).
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import stat
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pjrpc.server import AsyncDispatcher

from controller.api.access import Access, Caller, Right
from controller.api.errors import Code
from controller.api.service import WatchEvent
from controller.api.veil import veiled
from controller.faults import ConfigError, VenddError

# A request is a few hundred bytes; this much leaves room for a long reason and no more.
MAX_LINE_BYTES: Final = 16_384
# A few technicians, a monitor and the web panel; a leak must not exhaust the descriptors.
MAX_CLIENTS: Final = 16
# Answers and events that wait for a slow reader; an event is about 400 bytes.
MAX_WAITING: Final = 256
# A client that takes no byte for so long is gone or hostile.
WRITE_TIMEOUT_S: Final = 10.0
# One who may do nothing gets one answer, which is soon asked for.
STRANGER_TIMEOUT_S: Final = 5.0
# A burst waits here for the loop, which then tells those beyond MAX_CLIENTS that there is no room.
_BACKLOG: Final = 128
_LAST_TURNS: Final = 8  # of the loop; accepting a connection takes three


class Session:
    """One connection: who is there, and what waits to be sent to them."""

    def __init__(self, caller: Caller) -> None:
        """Begin with nothing to send."""
        self.caller = caller
        self.end_watch: Callable[[], None] | None = None  # called when the client has gone
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING)
        self._lost = 0

    def event(self, event: WatchEvent) -> None:
        """Send an event if there is room, else count it; the client is told how many it missed."""
        if self.caller.right < Right.ACT:
            event = veiled(event)
        # The last places are for answers, so that a flood of events never blocks one.
        if self._waiting.qsize() >= MAX_WAITING - 4:
            self._lost += 1
            return
        if self._lost:
            self._waiting.put_nowait(_notification({"kind": "lost", "events": self._lost}))
            self._lost = 0
        self._waiting.put_nowait(_notification(event))

    async def answer(self, text: str) -> None:
        """Send an answer, when there is room."""
        await self._waiting.put(text)

    async def finish(self) -> None:
        """Say that nothing more will be sent."""
        await self._waiting.put(None)

    async def pump(self, writer: StreamWriter) -> None:
        """Write what waits until ``finish``; ends early when the client takes nothing."""
        while (text := await self._waiting.get()) is not None:
            writer.write(text.encode() + b"\n")
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await writer.drain()


class ApiServer:
    """Serves one dispatcher on one socket file."""

    def __init__(self, path: Path, dispatcher: AsyncDispatcher[Session], access: Access) -> None:
        """Nothing is opened before ``serve``."""
        self.path = path
        self._dispatcher = dispatcher
        self._access = access
        self._clients: set[asyncio.Task[None]] = set()
        self.listening = asyncio.Event()

    async def serve(self) -> None:
        """Serve until cancelled; then every connection is closed and the socket file removed.

        Raises:
            ConfigError: The path cannot be a socket's.
            VenddError: Another vendd answers there.
        """
        listener = _listen(self.path, open_to_others=self._access.open_to_others)
        inode = self.path.stat().st_ino
        server = await asyncio.start_unix_server(
            self._accept, sock=listener, limit=MAX_LINE_BYTES, backlog=_BACKLOG
        )
        self.listening.set()
        try:
            await asyncio.get_running_loop().create_future()  # until cancelled
        finally:
            self.listening.clear()
            # Take no more, and let what is on its way arrive: asyncio forgets the socket of a
            # connection that arrives at a server that was closed meanwhile.
            asyncio.get_running_loop().remove_reader(listener)
            await _turns()
            server.close()
            for task in self._clients:
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)
            await _turns()  # in which closed connections give up their sockets
            with suppress(FileNotFoundError):
                if self.path.stat().st_ino == inode:
                    self.path.unlink()

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        if not self.listening.is_set():
            writer.transport.abort()  # it was on its way when the end came
            return
        task = asyncio.get_running_loop().create_task(self._client(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        # Cancelled before its first step, a task closes nothing by itself.
        task.add_done_callback(lambda _ended: writer.close())

    async def _client(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            caller = self._access.caller(writer.get_extra_info("socket"))
            if len(self._clients) > MAX_CLIENTS:
                text = f"{MAX_CLIENTS} clients are connected, and there is room for no more"
                writer.write(_error(Code.BUSY, text).encode() + b"\n")
            elif caller.right is Right.NOTHING:
                await self._refuse(caller, reader, writer)
            else:
                await self._talk(Session(caller), reader, writer)
        except (OSError, TimeoutError):
            pass  # the client has gone, or takes nothing: there is nobody to tell
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _refuse(self, caller: Caller, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer a stranger's first line, so that the tool can show the reason."""
        async with asyncio.timeout(STRANGER_TIMEOUT_S):
            with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await reader.readuntil(b"\n")
        text = self._access.explain(caller, Right.READ)
        writer.write(_error(Code.NOT_PERMITTED, text).encode() + b"\n")

    async def _talk(self, session: Session, reader: StreamReader, writer: StreamWriter) -> None:
        pump = asyncio.ensure_future(session.pump(writer))
        listen = asyncio.ensure_future(self._listen(session, reader))
        try:
            # Whichever ends first: the client has gone, or takes nothing any more.
            await asyncio.wait((pump, listen), return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                if not pump.done():
                    await session.finish()
                    await pump
        finally:
            if session.end_watch is not None:
                session.end_watch()
            for task in (pump, listen):
                task.cancel()
            await asyncio.gather(pump, listen, return_exceptions=True)

    async def _listen(self, session: Session, reader: StreamReader) -> None:
        """Answer line by line until the client has gone."""
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                text = f"a line has {MAX_LINE_BYTES} bytes at most"
                await session.answer(_error(Code.INVALID_REQUEST, text))
                return
            if not line.strip():
                continue
            if (answer := await self._answer(line, session)) is not None:
                await session.answer(answer)

    async def _answer(self, line: bytes, session: Session) -> str | None:
        try:
            answer = await self._dispatcher.dispatch(line.decode(), session)
        except ValueError:  # also a number of more digits than Python reads
            return _error(Code.PARSE, "a line is a JSON text in UTF-8")
        except RecursionError:
            return _error(Code.PARSE, "nested too deeply")
        return None if answer is None else answer[0]


async def _turns() -> None:
    """Let the loop do what it has at hand."""
    for _ in range(_LAST_TURNS):
        await asyncio.sleep(0)


def _notification(event: WatchEvent) -> str:
    message = {"jsonrpc": "2.0", "method": "watch.event", "params": event}
    return json.dumps(message, separators=(",", ":"))


def _error(code: Code, text: str) -> str:
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": None}
    return json.dumps(message | {"error": {"code": int(code), "message": text}})


def _listen(path: Path, *, open_to_others: bool) -> socket.socket:
    """Open the listening socket; a file that a killed vendd left is removed.

    The file's mode only keeps out those who could not be answered anyway: rights are judged by
    the peer's credentials, so with groups everybody may connect, to be told who they are not.
    """
    try:
        if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
            raise ConfigError(f"api.socket: {path} is there and is no socket")
        if path.exists():
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(path)) == 0:
                    raise VenddError(f"another vendd answers at {path}")
            path.unlink()
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(path))
            path.chmod(0o666 if open_to_others else 0o600)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        # bind() of a path over 107 bytes fails without an errno
        reason = error.strerror or "the path is too long for a socket (107 bytes)"
        if error.errno == errno.ENOENT:
            reason = "its folder is not there"
        raise ConfigError(f"api.socket: {path}: {reason}") from error
    return listener
