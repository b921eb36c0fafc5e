"""``vendcloud signer``: the signing keys in a process of their own, behind a socket.

Who asks is what the kernel says of the socket's other end (SO_PEERCRED), not what it says of
itself. One line of JSON asks, one answers; the body that is signed is the one that was asked for.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import grp
import json
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import structlog

from cloud.contract.commands import CommandBody, Role
from cloud.contract.messages import (
    Countersigned,
    Desired,
    MessageError,
    Signed,
    read,
)
from cloud.contract.topics import Address, TopicError
from cloud.fleet.signatory import Caller, Desk
from cloud.fleet.signer import SignerError
from cloud.fleet.signer_client import ASK_S, LINE_MAX

log = structlog.get_logger("vendcloud.signer")

AT_ONCE: Final = 16  # connections; the server and some shells
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: socket(7), SO_PEERCRED


class SignerServer:
    """Answers on a socket.

    Args:
        desk: Judges and signs.
        path: The socket; whoever may open it may ask.
        callers: Who may ask for what, by user's name; root and this process's user for anything.
    """

    def __init__(self, desk: Desk, path: Path, callers: Mapping[str, Caller]) -> None:
        self._desk = desk
        self._path = path
        self._callers = callers
        self._room = asyncio.Semaphore(AT_ONCE)
        self._connections: dict[asyncio.StreamWriter, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve as long as the block lasts.

        Raises:
            OSError: It can't be made, or another signer answers there.
        """
        await self._be_alone()
        server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE_MAX)
        self._path.chmod(0o660)
        try:
            yield
        finally:
            server.close()
            for writer in self._connections:
                writer.transport.abort()
            await asyncio.gather(*self._connections.values())
            await server.wait_closed()
            with suppress(FileNotFoundError):
                self._path.unlink()

    async def _be_alone(self) -> None:
        """Take away a socket that a signer left behind when it was killed, and no other."""
        try:
            _, writer = await asyncio.open_unix_connection(self._path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            if not self._path.is_socket():
                raise OSError(
                    errno.EEXIST, "there is a file of that name", str(self._path)
                ) from None
            self._path.unlink(missing_ok=True)
            return
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        raise OSError(errno.EADDRINUSE, "another signer answers there", str(self._path))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = self._connections[writer] = asyncio.get_running_loop().create_future()
        try:
            async with self._room:
                caller = self._caller(writer.get_extra_info("socket"))
                while True:
                    async with asyncio.timeout(ASK_S):
                        line = await reader.readline()
                    if not line:
                        return
                    answer = await asyncio.to_thread(self._answer, line, caller)
                    writer.write(json.dumps(answer).encode() + b"\n")
                    async with asyncio.timeout(ASK_S):
                        await writer.drain()
        except (TimeoutError, OSError, ValueError) as error:  # ValueError: a line too long
            log.warning("connection.ended", error=str(error) or type(error).__name__)
        finally:
            writer.close()
            del self._connections[writer]
            ended.set_result(None)

    def _caller(self, peer: socket.socket) -> Caller:
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(raw)
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        if uid in (0, os.geteuid()):
            return Caller(name, frozenset(Role))
        return self._callers.get(name) or Caller(name, frozenset())

    def _answer(self, line: bytes, caller: Caller) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            body = base64.b64decode(asked["body"], validate=True)
            return {"signed": self._signed(asked, body, caller).model_dump(mode="json")}
        except (SignerError, MessageError, TopicError) as error:
            log.info("refused", caller=caller.name, why=str(error))
            return {"refused": str(error)}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return {"refused": f"that is no question: {error!r}"}

    def _signed(self, asked: Mapping[str, Any], body: bytes, caller: Caller) -> Signed:
        match asked["what"]:
            case "command":
                return self._desk.command(read(CommandBody, body), caller)
            case "desired":
                return self._desk.desired(read(Desired, body), caller)
            case "countersigned":
                if not caller.roles:
                    raise SignerError(f"{caller.name} may not ask for anything")
                address = Address.parse(str(asked["machine"]))
                return self._desk.countersign(address, read(Countersigned, body), caller)
            case what:
                raise SignerError(f"{what!r} is nothing that is signed here")


def give_to_group(path: Path, group: str) -> None:
    """Let a group open the socket. Raises SignerError."""
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except (KeyError, OSError) as error:
        raise SignerError(f"{path}: group {group!r}: {error}") from error
