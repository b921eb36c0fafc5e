"""A client of a running vendd's API, for programs that run a loop of their own: stories, tests.

Beside asking it listens: which mode vendd is in, and every record from the moment on that it
connected, so that nobody who tests vendd needs to sleep.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

ANSWER_LIMIT_S: Final = 45.0  # a page of records, on a busy machine
ACT_LIMIT_S: Final = 60.0  # a test vend turns twice, a payout drops many coins
MAX_LINE_BYTES: Final = 4 << 20  # a page of records is some hundred kB
PAGE: Final = 200  # records in one answer: the most that vendd gives
MOST_RECORDS: Final = 100_000  # kept of a watch, the newest; longer than any story


class VenddGoneError(Exception):
    """vendd cannot be reached any more, or gave no answer."""


class VenddRefusedError(Exception):
    """vendd answered with an error: its text says why."""


class VenddWaitError(AssertionError):
    """What was waited for did not happen in time."""


class VenddClient:
    """A connection to one life of vendd."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See ``connect``."""
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self.mode = ""
        self.screen: tuple[str, ...] = ()
        self.records: list[dict[str, Any]] = []
        self.gone = False
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def connect(cls, path: Path) -> Self:
        """Connect to vendd's socket and listen. Raises VenddGoneError."""
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
        except OSError as error:
            raise VenddGoneError(f"no vendd answers at {path}: {error.strerror}") from error
        client = cls(reader, writer)
        try:
            await client.call("watch.start")
        except BaseException:
            await client.close()
            raise
        return client

    async def close(self) -> None:
        """Hang up; idempotent."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def call(self, method: str, *, limit_s: float = ANSWER_LIMIT_S, **params: Any) -> Any:
        """Call a method and return its result.

        Raises:
            VenddRefusedError: It refused; the text says why.
            VenddGoneError: It has gone, or hangs.
        """
        if self.gone:
            raise VenddGoneError(f"vendd went away before {method}")
        self._number += 1
        number = self._number
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            async with asyncio.timeout(limit_s):
                await self._writer.drain()
                found = await answer
        except OSError as error:  # a time-out is one too
            raise VenddGoneError(f"no answer to {method}: {error!r}") from error
        finally:
            del self._waiting[number]
        if "error" in found:
            raise VenddRefusedError(f"{method}: {found['error']['message']}")
        return found["result"]

    async def act(self, method: str, **params: Any) -> Any:
        """Call a method that moves something; raises as ``call`` does."""
        return await self.call(method, limit_s=ACT_LIMIT_S, **params)

    async def journal(self, after: int = 0) -> list[dict[str, Any]]:
        """Return every durable record after ``after``; raises as ``call`` does."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.call("journal.records", after=after, limit=PAGE)
            found += page["records"]
            if len(page["records"]) < PAGE:
                return found
            after = found[-1]["seq"]

    async def until(self, done: Callable[[Self], bool], what: str, within_s: float = 60.0) -> None:
        """Wait until ``done(self)``; it is asked again after each event.

        Raises:
            VenddWaitError: Not in time; names ``what``.
            VenddGoneError: vendd ended before.
        """
        try:
            async with asyncio.timeout(within_s), self._changed:
                while not done(self):
                    if self.gone:
                        raise VenddGoneError(f"vendd went away before this: {what}")
                    await self._changed.wait()
        except TimeoutError as error:
            shown = " | ".join(line.strip() for line in self.screen)
            last = ", ".join(record["type"] for record in self.records[-5:])
            raise VenddWaitError(
                f"not within {within_s:g} s: {what}; mode {self.mode}, display {shown!r}, "
                f"last records: {last}"
            ) from error

    async def until_record(self, kind: str, within_s: float = 60.0, after: int = 0) -> int:
        """Wait for a record of a type with a seq above ``after``; returns its seq.

        Raises as ``until`` does.
        """

        def found() -> int:
            for record in self.records:
                if record["seq"] > after and record["type"] == kind:
                    return int(record["seq"])
            return 0

        await self.until(lambda _: found() > 0, f"a record {kind}", within_s)
        return found()

    async def until_selling(self, within_s: float = 60.0) -> None:
        """Wait until recovery is over and money is taken; raises as ``until`` does."""
        await self.until(lambda vendd: vendd.mode in ("idle", "credit"), "it sells", within_s)

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                await self._take(json.loads(line))
        except (OSError, ValueError):
            pass  # the same as an end: whoever waits is told below
        finally:
            self.gone = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(VenddGoneError("vendd went away"))
                    waiting.exception()  # seen here, should nobody ask any more
            async with self._changed:
                self._changed.notify_all()

    async def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") != "watch.event":
            waiting = self._waiting.get(message.get("id") or 0)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            return
        event = message["params"]
        match event["kind"]:
            case "mode":
                self.mode = event["mode"]
            case "display":
                self.screen = tuple(event["lines"])
            case "record":
                self.records.append(event["record"])
                del self.records[:-MOST_RECORDS]
        async with self._changed:
            self._changed.notify_all()
