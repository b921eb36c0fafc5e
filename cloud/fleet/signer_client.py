"""Asking a signer in another process, over its socket: one line of JSON asks, one answers."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Final

from cloud.contract.commands import CommandBody
from cloud.contract.messages import MAX_MESSAGE_BYTES, Countersigned, Desired, Message, Signed
from cloud.contract.topics import Address
from cloud.fleet.signer import SignerError

LINE_MAX: Final = 2 * MAX_MESSAGE_BYTES  # a body in base64, and what stands around it
ASK_S: Final = 10.0  # for a whole line, and for an answer


class RemoteSigner:
    """Asks a signer in another process.

    Args:
        path: Its socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def command(self, body: CommandBody) -> Signed:
        """Have a command signed. Raises SignerError."""
        return await self._ask("command", body)

    async def desired(self, body: Desired) -> Signed:
        """Have a configuration signed. Raises SignerError."""
        return await self._ask("desired", body)

    async def countersign(self, address: Address, word: Countersigned) -> Signed:
        """Have the fleet's word for books signed. Raises SignerError."""
        return await self._ask("countersigned", word, machine=str(address))

    async def _ask(self, what: str, body: Message, **more: str) -> Signed:
        raw = body.to_bytes()
        question = {"what": what, "body": base64.b64encode(raw).decode(), **more}
        try:
            async with asyncio.timeout(ASK_S):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=LINE_MAX)
                try:
                    writer.write(json.dumps(question).encode() + b"\n")
                    await writer.drain()
                    line = await reader.readline()
                finally:
                    writer.close()
            answer = json.loads(line)
        except TimeoutError as error:
            raise SignerError(f"{self._path}: the signer does not answer") from error
        except (OSError, ValueError) as error:
            raise SignerError(f"{self._path}: the signer can't be asked: {error}") from error
        if "refused" in answer:
            raise SignerError(str(answer["refused"]))
        signed = Signed.model_validate(answer["signed"])
        if signed.body != raw:
            raise SignerError("the signer signed something else")
        return signed
