"""The control socket: JSON-RPC 2.0, one message a line, requests of a client side by side.

Only the user who runs the simulator may connect.
"""

from __future__ import annotations

import asyncio
import json
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pjrpc.server import AsyncDispatcher

from controller.api.null_id import dispatched
from simulator.subscriber import Subscriber

MAX_LINE_BYTES: Final = 64 * 1024  # far more than any request needs
MAX_CLIENTS: Final = 64
MAX_PENDING: Final = 64  # requests of one client that may wait for something at once

_OVERLOADED: Final = -32_002


class ControlServer:
    """All clients of one world."""

    def __init__(self, dispatcher: AsyncDispatcher[Subscriber]) -> None:
        self._dispatcher = dispatcher
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        """Listen; a stale socket of that name must be gone."""
        listener = _private_socket(path)
        self._server = await asyncio.start_unix_server(
            self._accept, sock=listener, limit=MAX_LINE_BYTES
        )

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._client(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _client(self, reader: StreamReader, writer: StreamWriter) -> None:
        def send(line: str) -> None:
            if not writer.is_closing():
                writer.write(line.encode() + b"\n")

        subscriber = Subscriber(send, writer.transport.get_write_buffer_size)
        pending: set[asyncio.Task[None]] = set()
        try:
            if len(self._clients) > MAX_CLIENTS:
                send(_error(_OVERLOADED, f"{MAX_CLIENTS} clients are connected already"))
                return
            while line := await reader.readline():
                if len(pending) >= MAX_PENDING:
                    send(_error(_OVERLOADED, f"{MAX_PENDING} requests are waiting already"))
                    continue
                task = asyncio.create_task(self._answer(line, subscriber, send))
                pending.add(task)
                task.add_done_callback(pending.discard)
        except ValueError:  # what a stream reader says to a line above its limit
            send(_error(-32_600, f"a line has {MAX_LINE_BYTES} bytes at most"))
        except OSError:
            pass  # the client has gone: there is nobody to tell
        finally:
            subscriber.close()
            for task in tuple(pending):
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(
        self, line: bytes, subscriber: Subscriber, send: Callable[[str], None]
    ) -> None:
        if not line.strip():
            return
        try:
            answer = await dispatched(self._dispatcher, line.decode(), subscriber)
        except (ValueError, RecursionError):  # also a number of more digits than Python reads
            send(_error(-32_700, "a line is JSON in UTF-8"))
            return
        if answer is not None:
            send(answer)


def _private_socket(path: Path) -> socket.socket:
    """Bind a socket that only our own user may connect to."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _error(code: int, message: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}})
