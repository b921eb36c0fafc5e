"""The unix socket: bounded lines, bounded clients, each answered in turn.

One line is one JSON-RPC 2.0 message (or batch). Requests of a client are answered in order;
``watch.event`` notifications come in between. Who may do what is decided per connection by the
kernel's word on the peer (``controller.api.access``) and per method (``controller.api.methods``).
"""

from __future__ import annotations

import asyncio
import errno
import json
import math
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
from controller.api.null_id import dispatched
from controller.api.service import WatchEvent
from controller.api.veil import veiled
from controller.faults import ConfigError, VenddError

# A request is a few hundred bytes; this much leaves room for a long reason and no more.
MAX_LINE_BYTES: Final = 16_384
# A batch is answered in turn; nobody needs more at once.
MAX_BATCH: Final = 16
# A few technicians, a monitor and the web panel; a leak must not exhaust the descriptors.
MAX_CLIENTS: Final = 16
# Answers and events that wait for a slow reader; an event is about 400 bytes.
MAX_WAITING: Final = 256
# A client that takes no byte for so long is gone or hostile.
WRITE_TIMEOUT_S: Final = 10.0
# The same at vendd's end, which waits for nobody: systemd and the guard are waiting.
END_TIMEOUT_S: Final = 0.2
# One who may do nothing gets one answer, which is soon asked for.
STRANGER_TIMEOUT_S: Final = 5.0
# Who has said nothing for so long, and waits for no answer, gives way when its place is wanted: a
# tool asks as soon as it is connected, and one that keeps a connection can connect again.
IDLE_S: Final = 5.0
# What a refused client has still on its way is taken and dropped, so that it comes to read why.
MAX_DROPPED_BYTES: Final = 64 << 20
# A burst waits here for the loop, which then tells those beyond MAX_CLIENTS that there is no room.
_BACKLOG: Final = 128
_LAST_TURNS: Final = 8  # of the loop; accepting a connection takes three


class Session:
    """One connection: who is there, and what waits to be sent to them."""

    def __init__(self, caller: Caller, now_s: float = 0.0) -> None:
        """Begin with nothing to send; ``now_s`` is of the loop's time."""
        self.caller = caller
        self.end_watch: Callable[[], None] | None = None  # called when the client has gone
        self.heard_s = now_s  # when it last said something, or got its last answer
        self.busy = False  # a call of it is carried out
        self.dismissed = asyncio.Event()  # it must give way
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

    def __init__(
        self,
        path: Path,
        dispatcher: AsyncDispatcher[Session],
        access: Access,
        idle_s: float = IDLE_S,
    ) -> None:
        """Nothing is opened before ``serve``."""
        self.path = path
        self._dispatcher = dispatcher
        self._access = access
        self._idle_s = idle_s
        self._clients: set[asyncio.Task[None]] = set()
        self._seated: set[Session] = set()
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
        now_s = asyncio.get_running_loop().time
        patience_s = WRITE_TIMEOUT_S
        try:
            session = Session(self._access.caller(writer.get_extra_info("socket")), now_s())
            if not self._seat(session, now_s()):
                text = f"{MAX_CLIENTS} clients are connected, and there is room for no more"
                writer.write(_error(Code.BUSY, text).encode() + b"\n")
                return
            try:
                if session.caller.right is Right.NOTHING:
                    await self._refuse(session, reader, writer)
                else:
                    await self._talk(session, reader, writer)
            finally:
                self._seated.discard(session)
        except (OSError, TimeoutError):
            pass  # the client has gone, or takes nothing: there is nobody to tell
        except asyncio.CancelledError:
            patience_s = END_TIMEOUT_S
            raise
        finally:
            await _closed(writer, patience_s)

    def _seat(self, session: Session, now_s: float) -> bool:
        """Give a place to a client, if need be another's; tell whether there was one.

        Whoever may do more comes before those who may do less. Among equals the one that has
        been silent for longest gives way, a watcher last; one that waits for an answer stays.
        """
        if len(self._seated) >= MAX_CLIENTS:
            right = session.caller.right
            others = [
                one
                for one in self._seated
                if one.caller.right < right
                or (one.caller.right == right and self._is_idle(one, now_s))
            ]
            if not others:
                return False
            loser = min(others, key=_worth)
            self._seated.discard(loser)
            loser.dismissed.set()
        self._seated.add(session)
        return True

    def _is_idle(self, session: Session, now_s: float) -> bool:
        return not session.busy and now_s - session.heard_s >= self._idle_s

    async def _refuse(self, session: Session, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer a stranger's first line, so that the tool can show the reason."""
        async with asyncio.timeout(STRANGER_TIMEOUT_S):
            with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await reader.readuntil(b"\n")
        text = self._access.explain(session.caller, Right.READ)
        writer.write(_error(Code.NOT_PERMITTED, text).encode() + b"\n")
        await _part(reader, writer)

    async def _talk(self, session: Session, reader: StreamReader, writer: StreamWriter) -> None:
        pump = asyncio.ensure_future(session.pump(writer))
        listen = asyncio.ensure_future(self._listen(session, reader))
        dismissed = asyncio.ensure_future(session.dismissed.wait())
        try:
            # Whichever ends first: the client has gone, or takes nothing any more, or must go.
            await asyncio.wait((pump, listen, dismissed), return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                if not pump.done():
                    if dismissed.done():
                        listen.cancel()
                        text = "another client needed this place: it was the one silent for longest"
                        await session.answer(_error(Code.BUSY, text))
                    await session.finish()
                    await pump
            if listen.done() and not listen.cancelled() and listen.result():
                session.heard_s = -math.inf  # nobody needs to wait for what is dropped here
                await _part(reader, writer)
        finally:
            if session.end_watch is not None:
                session.end_watch()
            for task in (pump, listen, dismissed):
                task.cancel()
            await asyncio.gather(pump, listen, dismissed, return_exceptions=True)

    async def _listen(self, session: Session, reader: StreamReader) -> bool:
        """Answer line by line until the client has gone; tell whether more of it is on its way."""
        now_s = asyncio.get_running_loop().time
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return False
            except asyncio.LimitOverrunError:
                text = f"a line has {MAX_LINE_BYTES} bytes at most"
                await session.answer(_error(Code.INVALID_REQUEST, text))
                return True
            session.heard_s = now_s()
            if session.dismissed.is_set():
                return False  # what it is told says so: nothing is begun that nobody hears of
            if not line.strip():
                continue
            session.busy = True
            if (answer := await self._answer(line, session)) is not None:
                await session.answer(answer)
            session.busy, session.heard_s = False, now_s()

    async def _answer(self, line: bytes, session: Session) -> str | None:
        try:
            text = line.decode()
            if text.lstrip().startswith("[") and 0 < len(batch := json.loads(text)) <= MAX_BATCH:
                return await self._answer_batch(batch, session)
            return await dispatched(self._dispatcher, text, session)
        except ValueError:  # also a number of more digits than Python reads
            return _error(Code.PARSE, "a line is a JSON text in UTF-8")
        except RecursionError:
            return _error(Code.PARSE, "nested too deeply")

    async def _answer_batch(self, batch: list[Any], session: Session) -> str | None:
        """Answer each request for itself: one that is none spoils no other (JSON-RPC 2.0, 6)."""
        answers = []
        for request in batch:
            if isinstance(request, list):
                answers.append(_error(Code.INVALID_REQUEST, "a batch within a batch"))
                continue
            answer = await dispatched(self._dispatcher, json.dumps(request), session)
            if answer is not None:
                answers.append(answer)
        return f"[{', '.join(answers)}]" if answers else None


def _worth(session: Session) -> tuple[Right, bool, bool, float]:
    """Return what a place is judged by: the least goes first."""
    return session.caller.right, session.busy, session.end_watch is not None, session.heard_s


async def _part(reader: StreamReader, writer: StreamWriter) -> None:
    """Say that nothing more comes, and hear out one that is still sending.

    A socket that is closed with something unread is reset, and its client may never read why.
    """
    writer.write_eof()
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        left = MAX_DROPPED_BYTES
        while left > 0 and (dropped := await reader.read(left)):
            left -= len(dropped)


async def _closed(writer: StreamWriter, patience_s: float) -> None:
    """Close a connection; a client that does not take its last answer loses it."""
    writer.close()
    try:
        async with asyncio.timeout(patience_s):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except OSError:
        pass  # it has gone already


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
