"""What the link does on a command: sends a range of the journal again, and says how far others are.

Beside the outbox, so that neither holds the other up: one batch of the range at a time, the next
one when the fleet has answered. Progress goes over telemetry, which may be lost; the result of a
command is a record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from cloud.contract.messages import Ack, Progress, Telemetry
from cloud.contract.topics import Topic
from cloud.link import window as win
from cloud.link.packing import Rows, packed
from cloud.link.transport import Connection
from controller.clock import Clock
from controller.faults import JournalError
from controller.machine.inputs import CommandRefused

EVERY_S: Final = 1.0  # between two words on one command: nobody reads faster
KEPT: Final = 32  # commands whose progress waits to be said: more than run at once
# A batch that is not answered is sent again; a fleet that is away answers after the next contact.
PATIENCE_S: Final = 20.0


class Books(Rows, Protocol):
    """What an upload needs to know of the journal."""

    @property
    def durable_seq(self) -> int:
        """Return the last record that is on the disk."""
        ...

    @property
    def base_seq(self) -> int:
        """Return the record up to which they were pruned."""
        ...


@dataclass(slots=True)
class _Upload:
    """A range that is sent again."""

    id: str
    first: int
    last: int
    next: int
    end: asyncio.Future[int]
    nonce: str = ""
    until: int = 0  # the last record of the batch on its way
    again_at: float = 0.0  # monotonic


@dataclass(slots=True)
class _Said:
    """What was said of a command last."""

    text: str = ""
    at_s: float = field(default=-EVERY_S)


class Errands:
    """Runs beside the outbox on one connection after the other.

    Args:
        books: The journal.
        clock: Measures.
        nonce: Makes a word that nobody can have heard before.
        now_ms: The time as a record would be labelled.
    """

    def __init__(
        self, books: Books, clock: Clock, nonce: Callable[[], str], now_ms: Callable[[], int]
    ) -> None:
        self._books = books
        self._clock = clock
        self._nonce = nonce
        self._now_ms = now_ms
        self._uploads: list[_Upload] = []
        self._progress: dict[str, Progress] = {}
        self._said: dict[str, _Said] = {}
        self._wake = asyncio.Event()

    # ------------------------------------------------------------------------ for others

    def progress(self, id_: str, text: str, done: int = 0, total: int = 0) -> None:
        """Say how far a command is; what comes too soon after the last word is left out."""
        said = self._said.setdefault(id_, _Said())
        now = self._clock.monotonic_s()
        if said.text == text and now - said.at_s < EVERY_S:
            return
        said.text, said.at_s = text, now
        self._progress[id_] = Progress(id=id_, text=text[:80], done=done, total=total)
        for kept in (self._progress, self._said):
            while len(kept) > KEPT:
                del kept[next(iter(kept))]
        self._wake.set()

    async def upload(self, id_: str, first: int, last: int) -> str:
        """Send a range again; returns, in words, what was sent once the fleet has answered for it.

        Raises:
            CommandRefused: Nothing of it is there.
        """
        books = self._books
        begin, end = max(first, books.base_seq + 1), min(last, books.durable_seq)
        if begin > end:
            there = f"{books.base_seq + 1} to {books.durable_seq}"
            raise CommandRefused(f"records {first} to {last} are not here; there are {there}")
        one = _Upload(id_, begin, end, begin, asyncio.get_running_loop().create_future())
        self._uploads.append(one)
        self._wake.set()
        try:
            await one.end
        finally:
            self._uploads.remove(one)
        return f"records {begin} to {end}"

    def heard(self, ack: Ack) -> None:
        """Take the fleet's answers; those to a batch of a range move that on."""
        for one in self._uploads:
            if one.nonce and ack.echo == one.nonce and ack.want is None:
                one.nonce, one.next = "", one.until + 1
                if one.next > one.last and not one.end.done():
                    one.end.set_result(one.last)
                self._wake.set()

    # ------------------------------------------------------------------------ on the line

    async def run(self, connection: Connection) -> None:
        """Send what there is, as long as the connection lasts.

        Raises:
            LinkLostError: The connection is gone.
        """
        for one in self._uploads:
            one.nonce = ""  # its answer will not come on this connection
        while True:
            self._wake.clear()
            await self._tell(connection)
            for one in list(self._uploads):
                await self._send(connection, one)
            await self._rest()

    async def _tell(self, connection: Connection) -> None:
        if self._progress:
            told, self._progress = tuple(self._progress.values()), {}
            message = Telemetry(at=self._now_ms(), progress=told)
            await connection.say(Topic.TELEMETRY, message.to_bytes())

    async def _send(self, connection: Connection, one: _Upload) -> None:
        now = self._clock.monotonic_s()
        if one.next > one.last or (one.nonce and now < one.again_at):
            return
        one.next = max(one.next, self._books.base_seq + 1)
        if one.next > one.last:
            one.end.cancel()  # pruned meanwhile: the fleet has had all of it
            return
        one.nonce = self._nonce()
        most = min(win.BATCH_RECORDS, one.last - one.next + 1)
        try:
            message, one.until = await packed(self._books, one.next, one.nonce, most=most)
        except JournalError as error:
            one.next = one.last + 1
            if not one.end.done():
                one.end.set_exception(CommandRefused(str(error)))
            return
        one.again_at = now + PATIENCE_S
        done, total = one.next - one.first, one.last - one.first + 1
        self.progress(one.id, "sends records", done, total)
        await connection.say(Topic.EVENTS, message)

    async def _rest(self) -> None:
        now = self._clock.monotonic_s()
        due = [one.again_at for one in self._uploads if one.nonce]
        try:
            async with asyncio.timeout(max(0.0, min(due) - now) if due else None):
                await self._wake.wait()
        except TimeoutError:
            return
