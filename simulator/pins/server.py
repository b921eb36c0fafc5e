"""The board's pins on a unix stream socket, for controllers that are other processes.

See ``wire`` for the bytes. A process's pins are let go when its command connection ends, however
it ends. A listener that reads too slowly (a stopped process) loses edges, as the kernel's own
event queue does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from simulator.pins.board import Edges, PinBoard, PinBusyError, PinSession, PinUseError, Pull
from simulator.pins.wire import ANSWER, REQUEST, Operation, PushedEdge, Status

# Bytes that wait for a listener before edges are lost: some thousand of them.
_LISTENER_BACKLOG: Final = 64 * 1024

_TOKENS: Final = 256  # a token is one byte; more processes than that never hold pins at once


class PinServer:
    """All connections of one board, whose clock is the loop's own: the system's monotonic one."""

    def __init__(self, board: PinBoard) -> None:
        self.board = board
        self.listeners: dict[int, asyncio.Transport] = {}
        self.on_connections: Callable[[int], None] | None = None
        self._open_ones: set[asyncio.Transport] = set()
        self._controllers: set[int] = set()
        self._last_token = 0
        self._server: asyncio.Server | None = None

    @property
    def controllers(self) -> int:
        """Return how many processes hold a command connection."""
        return len(self._controllers)

    async def start(self, path: str) -> None:
        """Listen; a stale socket of that name must be gone."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), path)

    async def close(self) -> None:
        """Hang up on everybody."""
        for transport in tuple(self._open_ones):
            transport.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def came(self, transport: asyncio.Transport) -> None:
        """Remember a connection."""
        self._open_ones.add(transport)

    def went(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._open_ones.discard(transport)

    def open_process(self) -> int:
        """Return a token for a new process."""
        for _ in range(_TOKENS):
            self._last_token = (self._last_token + 1) % _TOKENS
            if self._last_token not in self._controllers:
                break
        self._controllers.add(self._last_token)
        self._tell()
        return self._last_token

    def end_process(self, token: int) -> None:
        """Forget a process and hang up on its listener."""
        self._controllers.discard(token)
        listener = self.listeners.pop(token, None)
        if listener is not None:
            listener.close()
        self._tell()

    def _tell(self) -> None:
        if self.on_connections is not None:
            self.on_connections(self.controllers)


class _Connection(asyncio.Protocol):
    """A command connection, or a listener once it has said so."""

    def __init__(self, server: PinServer) -> None:
        self._server = server
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._session: PinSession | None = None
        self._token: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.came(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._transport is not None:
            self._server.went(self._transport)
        if self._session is not None:
            self._session.die()
        if self._token is not None:
            self._server.end_process(self._token)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        size = REQUEST.size
        answers = bytearray()
        while len(self._buffer) >= size:
            request, self._buffer = self._buffer[:size], self._buffer[size:]
            answers += ANSWER.pack(*self._answer(*REQUEST.unpack(request)))
        if self._transport is not None:
            self._transport.write(bytes(answers))

    def _answer(self, operation: int, pin: int, value: int) -> tuple[int, int]:
        try:
            return Status.OK, self._carry_out(Operation(operation), pin, value)
        except PinBusyError:
            return Status.BUSY, 0
        except (PinUseError, ValueError):  # no such pin, operation, pull or edges
            return Status.WRONG, 0

    def _carry_out(self, operation: Operation, pin: int, value: int) -> int:
        if operation is Operation.LISTEN:
            assert self._transport is not None
            self._server.listeners[value] = self._transport
            return 0
        if operation is Operation.OPEN or self._session is None:
            self._session = self._session or self._server.board.session()
            if self._token is None:
                self._token = self._server.open_process()
            if operation is Operation.OPEN:
                return self._token
        session = self._session
        match operation:
            case Operation.INPUT:
                session.claim_input(pin)
            case Operation.OUTPUT:
                session.claim_output(pin, bool(value))
            case Operation.WRITE:
                session.write(pin, bool(value))
            case Operation.PULL:
                session.pull(pin, Pull(value))
            case Operation.EDGES:
                session.listen(pin, Edges(value), self._push)
            case Operation.FUNCTION:
                return int(session.is_output(pin))
            case _:
                return int(session.read(pin))
        return 0

    def _push(self, pin: int, level: bool, at_s: float) -> None:
        listener = None if self._token is None else self._server.listeners.get(self._token)
        if listener is None or listener.is_closing():
            return
        if listener.get_write_buffer_size() > _LISTENER_BACKLOG:
            return
        listener.write(PushedEdge(pin, level, at_s).to_bytes())
