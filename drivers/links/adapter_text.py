"""The adapter link: an MDB-USB or MDB HAT box that keeps the bus times and acknowledges by itself.

One line out, one line back. Lines carry no numbers, so an answer that is late or lost is cleared
up at once by asking the version: answers come in order, and what stands before the version's
belongs to the block before it. The adapter has acknowledged it, so it must not get lost.

Nothing can be held back here. What a poll answer held at the instant of a kill is therefore known
to nobody but the tubes and the stacker, and is found by the comparison at boot; and nothing is
pending after a restart, because whatever the adapter read it acknowledged.

Source: Qibixx "Generic Master" and "Configuration" pages (docs.qibixx.com).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from controller.faults import LinkError
from controller.ports import LinkCapabilities
from drivers.links.adapter_text_codec import (
    BUS_RESET,
    HARDWARE,
    MASTER_ON,
    VERSION,
    Acked,
    Confirmed,
    Data,
    Line,
    LineReader,
    NotAcked,
    Unknown,
    Version,
    command_line,
    decode_line,
    may_tell,
    request_line,
)
from drivers.links.mdb_link import ACKED, SILENT, Answer, AnswerKind, LinkCounters
from drivers.links.port import BytePort
from drivers.mdb.blocks import RESPONSE_TOLERANT_S, SETTLE_S

ADAPTER_BAUD: Final = 115_200

RESPONSE_TIMEOUT_MS: Final = int(RESPONSE_TOLERANT_S * 1000)
"""What we ask the adapter to allow a device (10-1000 ms; the standard's own 5 ms is below)."""

ANSWER_S: Final = 0.150
"""Longest wait for an answer: 36 bytes out and back on the bus (83 ms), the device's 20 ms, and
the host's own delays."""

SETTING_S: Final = 0.5
"""Longest wait for the answer to a setting or a question about the adapter itself."""

SYNC_TRIES: Final = 3
"""Version questions without an answer before the adapter counts as dead and the port is reopened;
together 1.5 s, less than a changer's non-response time."""
_BACKLOG_LINES: Final = 8
"""Lines kept that nobody waits for yet: only one answer is ever owed, and the version behind it."""


class AdapterTextLink:
    """`MdbLink` over an adapter's text protocol.

    Args:
        open_port: Opens the port; raises LinkError when it can't.
    """

    def __init__(self, open_port: Callable[[], BytePort]) -> None:
        self._open_port = open_port
        self._port: BytePort | None = None
        self._reader = LineReader()
        self._waiter: asyncio.Future[Line | None] | None = None
        self._wanted = ""
        self._told = False  # a line since the block was, or may have been, an answer with data
        self._backlog: deque[str] = deque(maxlen=_BACKLOG_LINES)
        self._why_lost = "the MDB adapter's port is closed"
        self.answered_at = 0.0
        self.counters = LinkCounters()
        self.version = ""
        self.hardware = ""

    @property
    def capabilities(self) -> LinkCapabilities:
        """Return that the adapter acknowledges by itself."""
        return LinkCapabilities(withholds_ack=False, bus_reset=True)

    async def open(self) -> None:
        """Open the port, find the adapter, switch its master mode on; see `MdbLink.open`."""
        self.close()
        port = self._open_port()
        self._reader.reset()
        port.start(self._on_bytes, self._lose)
        self._port = port
        self.counters.reopened += 1
        try:
            port.write(b"\n")  # ends whatever line somebody left unfinished
            await self._synchronise()
            hardware = await self._ask(HARDWARE, "h")
            self.hardware = hardware.text if isinstance(hardware, Version) else ""
            master = await self._ask(MASTER_ON, "m")
            if master != Confirmed("m", taken=True):
                raise LinkError(f"the MDB adapter refused master mode: {master}")
            # an old firmware that does not know the setting keeps its own time, and works
            await self._ask(command_line("F", "RESPTIMEOUT", str(RESPONSE_TIMEOUT_MS)), "f")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the port back; idempotent."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    async def exchange(self, payload: bytes) -> Answer:
        """Send a block, bring its answer; see `MdbLink.exchange`."""
        self.counters.exchanges += 1
        self._told = False
        line = await self._ask(request_line(payload), "p", ANSWER_S)
        if line is None or isinstance(line, Unknown):
            line = await self._late_answer(line)
        answer = _answer(line)
        if answer.kind is AnswerKind.SILENCE:
            self.counters.silences += 1
        elif answer.kind is AnswerKind.GARBLED:
            self.counters.garbled += 1
            if self._told or self._port is None:  # or it went with whatever was under way
                answer = replace(answer, told=True)
        return answer

    def ack(self) -> None:
        """Do nothing: the adapter has acknowledged."""

    async def bus_reset(self) -> None:
        """Reset every peripheral on the bus; see `MdbLink.bus_reset`."""
        await self._ask(BUS_RESET, "p", SETTING_S)
        await self._synchronise()
        await asyncio.sleep(SETTLE_S)

    # -------------------------------------------------------------------------------- asking

    async def _ask(self, line: bytes, letter: str, seconds: float = SETTING_S) -> Line | None:
        """Send a line and wait for the answer that begins with `letter`; None when none came.

        Raises:
            LinkError: The port is gone; nothing was sent.
        """
        port = self._port
        if port is None:
            raise LinkError(self._why_lost)
        self._backlog.clear()
        try:
            port.write(line)
        except LinkError as cause:
            self._lose(cause)
            raise
        return await self._hear(letter, seconds)

    async def _hear(self, letters: str, seconds: float = SETTING_S) -> Line | None:
        """Wait for a line that begins with one of `letters`."""
        while self._backlog:
            line = self._backlog.popleft()
            if line[0] in letters:
                return decode_line(line)
        loop = asyncio.get_running_loop()
        self._wanted = letters
        waiter: asyncio.Future[Line | None] = loop.create_future()
        self._waiter = waiter
        timer = loop.call_later(seconds, _give_up, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiter = None

    async def _late_answer(self, damaged: Line | None) -> Line | None:
        """Find out what became of an answer that did not come in time, or came damaged."""
        found = damaged
        for _ in range(SYNC_TRIES):
            if self._port is None:
                return found
            try:
                got = await self._ask(VERSION, "v" if found is not None else "pv")
            except LinkError:
                return found  # the port is gone by now; the block had left before
            if got is None:
                continue
            if isinstance(got, Version):
                return found
            # The late answer itself. The version's answer is still on its way; take it.
            found = got
            if isinstance(await self._hear("v"), Version):
                return found
        self._lose(LinkError("the MDB adapter does not answer"))
        return found

    async def _synchronise(self) -> None:
        for _ in range(SYNC_TRIES):
            got = await self._ask(VERSION, "v")
            if isinstance(got, Version):
                self.version = got.text
                return
        raise LinkError("the MDB adapter does not answer")

    # ------------------------------------------------------------------------------ the port's

    def _on_bytes(self, data: bytes) -> None:
        for text in self._reader.feed(data):
            self._told = self._told or may_tell(text)
            waiter = self._waiter
            if waiter is not None and not waiter.done() and text[0] in self._wanted:
                self.answered_at = asyncio.get_running_loop().time()
                waiter.set_result(decode_line(text))
            else:
                self.counters.stray_bytes += len(text)
                self._backlog.append(text)

    def _lose(self, cause: Exception) -> None:
        self._why_lost = str(cause)
        self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _give_up(waiter: asyncio.Future[Line | None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _answer(line: Line | None) -> Answer:
    match line:
        case Data(payload):
            return Answer(AnswerKind.DATA, payload)
        case Acked():
            return ACKED
        case NotAcked():
            return SILENT
        case None:
            return Answer(AnswerKind.GARBLED, why="the adapter's answer was lost")
        case _:
            return Answer(AnswerKind.GARBLED, why=f"the adapter's answer was damaged: {line}")
