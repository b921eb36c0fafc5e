"""The one owner of a ccTalk line: asks one device at a time, hears its own echo, tries again.

Devices never talk unasked, so whoever wants to know something asks, and the line serves one
question after the other in the order they came. A question whose repetition could pay twice is sent
once, whatever happens to its answer.

Loop time is the only time: it is the monotonic base of the whole machine.

Source: ccTalk Generic Specification 4.7, part 1 (timing, retries) and part 4 (collisions).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from controller.faults import FaultCode, JournalError, LinkError
from controller.ports import DeviceSink, FaultCleared, FaultRaised
from drivers.cctalk.frames import (
    BYTE_TIME_S,
    FRAMES_KEPT,
    HOST,
    INTER_BYTE_S,
    CcTalkError,
    Checksum,
    EchoFilter,
    EchoState,
    Frame,
    FrameReader,
    Reply,
    ReplyKind,
    accept_reply,
    encode_frame,
)
from drivers.cctalk.headers import Header, Repeat, answer_time_s, repeat_of
from drivers.cctalk.rests import Foresight, Rests, sleep_until
from drivers.links.port import BytePort

BUS_PART: Final = "cctalk"
"""The line itself, as the `part` of its fault."""

TRIES: Final = 3
"""Of a question that may be repeated (part 1, "retries")."""

ADAPTER_S: Final = 0.020
"""What a USB adapter's latency timer (often 16 ms) adds to any gap."""

QUIET_S: Final = INTER_BYTE_S + ADAPTER_S
"""Silence that ends whatever went wrong before the next question: with a CRC a late reply names
nobody."""

LOOKS: Final = frozenset(
    {
        Header.READ_BUFFERED_CREDIT,
        Header.READ_BUFFERED_BILL_EVENTS,
        Header.REQUEST_HOPPER_STATUS,
        Header.REQUEST_DISPENSE_COUNT,
        Header.TEST_HOPPER,
    }
)
"""What is asked again and again, and changes nothing."""

LATE_S: Final = 1.0
"""For an answer that did not come in time (part 4: none within a second). Where a question was
repeated one answer more may follow, and would be taken for that to the next question."""

UNMISTAKABLE: Final = frozenset({Header.READ_BUFFERED_CREDIT, Header.READ_BUFFERED_BILL_EVENTS})
"""No other answer is as long as these; and a device that waits for them takes no money."""

BUSY_S: Final = 0.1
"""Pause after BUSY."""

REOPEN_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to open a lost port; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A device's address, and what it ends its frames with."""

    address: int
    checksum: Checksum = Checksum.SUM


@dataclass(slots=True)
class BusCounters:
    """What the bus did, for tests, benchmarks and the technician."""

    asked: int = 0
    repeated: int = 0
    silences: int = 0
    garbled: int = 0
    collisions: int = 0
    stray_bytes: int = 0


class CcTalkBus:
    """One line.

    Args:
        open_port: Opens the tty, or the simulator's memory. Raises LinkError.
        sink: Where a dead line is told.
        foresight: A simulator that knows which reads will bring nothing; they are not sent.

    Attributes:
        rests: The pauses between reads of events.
        down: Why nothing can be asked now, None while the line works.
    """

    def __init__(
        self,
        open_port: Callable[[], BytePort],
        sink: DeviceSink,
        foresight: Foresight | None = None,
    ) -> None:
        self._open_port = open_port
        self._sink = sink
        self._port: BytePort | None = None
        self._line = asyncio.Lock()
        self.rests = Rests(self._line.locked, foresight)
        self._foresight = foresight
        self._up = asyncio.Event()
        self._lost: asyncio.Future[None] | None = None
        self._failure: JournalError | None = None
        self._fault_told = False
        self._echoes: bool | None = None  # whether this adapter returns what we send
        self._frames = FrameReader()
        self._echo: EchoFilter | None = None
        self._answer: asyncio.Future[Reply | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked = Peer(HOST)
        self._talks: dict[int, asyncio.Lock] = {}
        self._owed: dict[int, tuple[bytes, float]] = {}  # until when answers may come, and to what
        self._heard_at = float("-inf")
        self.down: str | None = "not open yet"
        self.counters = BusCounters()

    async def run(self) -> None:
        """Own the line until cancelled.

        Raises:
            JournalError: Money could not be written; nothing more is asked.
        """
        attempt = 0
        try:
            while True:
                try:
                    await self._own()
                except LinkError as cause:
                    attempt = attempt + 1 if self.down is not None else 1
                    self._fall(str(cause))
                await asyncio.sleep(REOPEN_S[min(attempt, len(REOPEN_S)) - 1])
        finally:
            self._fall("the ccTalk bus was stopped", tell=False)

    async def up(self, within_s: float) -> bool:
        """Wait until the line is open; whether it is."""
        try:
            async with asyncio.timeout(within_s):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    def fail(self, error: JournalError) -> None:
        """End `run` with this: a record of money is not on disk."""
        self._failure = error
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    async def ask(
        self, peer: Peer, header: Header, data: bytes = b"", tries: int = TRIES
    ) -> Reply | None:
        """Ask, and bring the reply; None when none came that can be understood.

        What may be repeated is tried three times, or as often as said, and others get their turn
        between two tries: who waits for a silent device must not keep an acceptor from its polls.
        None for anything else means: it may have been heard.

        Raises:
            LinkError: The line is down; this question never left.
        """
        if repeat_of(header) is not Repeat.FREE:
            tries = 1
        raw = _question(peer.address, peer.checksum, header, data)
        # Nothing in an answer tells the question: until one is over, no other one to its device.
        async with self._talks.setdefault(_answers_as(peer), asyncio.Lock()):
            if self._owed and header not in UNMISTAKABLE:
                await self._outlast(peer, raw)
            return await self._ask(peer, header, raw, tries)

    async def _ask(self, peer: Peer, header: Header, raw: bytes, tries: int) -> Reply | None:
        foresight = self._foresight if header in LOOKS else None
        waits = self._line.locked()
        if foresight is not None and not waits:
            reply = await self._look(foresight, peer, header)
            if reply is not None:
                return reply
        limit = answer_time_s(header) + len(raw) * BYTE_TIME_S + ADAPTER_S
        loop = asyncio.get_running_loop()
        reply, unanswered, sent, heard = None, 0, 0.0, self.counters.stray_bytes
        for attempt in range(tries):
            async with self._line:
                if attempt:
                    self.counters.repeated += 1
                    if self._port is None:
                        return None  # it left, and then the line went
                else:
                    if foresight is not None and waits:  # whoever spoke has ended
                        reply = await self._look(foresight, peer, header)
                        if reply is not None:
                            return reply
                    self.counters.asked += 1
                sent = loop.time()
                reply = await self._exchange(peer, raw, limit)
                if reply is None:
                    unanswered += 1
                    await self._settle()
            if reply is not None and reply.kind is not ReplyKind.BUSY:
                break
            if reply is not None and attempt + 1 < tries:
                await asyncio.sleep(BUSY_S)
        # One that was silent to every try would have answered the first by now.
        silent = reply is None and unanswered == TRIES and heard == self.counters.stray_bytes
        if unanswered and not silent:
            self._owed[_answers_as(peer)] = raw, sent + LATE_S
        return reply

    async def _outlast(self, peer: Peer, raw: bytes) -> None:
        """Wait for answers to another question that may still come."""
        asked, until = self._owed.get(_answers_as(peer), (raw, 0.0))
        if asked != raw and until > asyncio.get_running_loop().time():
            await sleep_until(until)

    async def _look(self, foresight: Foresight, peer: Peer, header: Header) -> Reply | None:
        """Ask a simulator that knows the answer; None, and no time has passed: ask the line."""
        if self._port is None:
            return None
        told = foresight.read(peer.address, header)
        if told is None:
            return None
        data, end = told
        self.counters.asked += 1
        if not foresight.pass_until(end):
            if self._line.locked():
                await sleep_until(end)
            else:
                async with self._line:
                    await sleep_until(end)
        return Reply(ReplyKind.DATA, data)

    # ------------------------------------------------------------------------- one question

    async def _exchange(self, peer: Peer, raw: bytes, limit: float) -> Reply | None:
        port = self._port
        if port is None:
            raise LinkError(f"the ccTalk line is down: {self.down}")
        loop = asyncio.get_running_loop()
        self._frames.reset()
        self._echo = EchoFilter(raw, expected=self._echoes)
        self._asked = peer
        answer: asyncio.Future[Reply | None] = loop.create_future()
        self._answer = answer
        self._timer = loop.call_later(limit, self._give_up)
        try:
            port.write(raw)
            return await answer
        except LinkError as cause:
            self._lose(cause)
            raise
        finally:
            self._timer.cancel()
            self._timer = self._answer = self._echo = None

    async def _settle(self) -> None:
        """Wait until nobody speaks any more."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            left = max(begun, self._heard_at) + QUIET_S - loop.time()
            if left <= 0 or self._port is None:
                return
            await asyncio.sleep(left)

    def _give_up(self) -> None:
        """Nothing came in time, or a gap broke a frame off."""
        answer = self._answer
        if answer is None or answer.done():
            return
        if self._frames.reset():
            self.counters.garbled += 1
        else:
            self.counters.silences += 1
        answer.set_result(None)

    # --------------------------------------------------------------------------- the port's

    def _on_bytes(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        answer, echo = self._answer, self._echo
        if answer is None or answer.done() or echo is None:
            self.counters.stray_bytes += len(data)
            return
        rest = echo.feed(data)
        if echo.state is EchoState.COLLISION:
            self.counters.collisions += 1
            answer.set_result(None)
            return
        if not rest:
            return
        for raw in self._frames.feed(rest):
            try:
                reply = accept_reply(raw, self._asked.address, self._asked.checksum)
            except CcTalkError:
                self.counters.garbled += 1
                continue  # stale or broken: the right one may still come
            self._echoes = echo.state is EchoState.CUT
            answer.set_result(reply)
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(QUIET_S, self._give_up)

    def _lose(self, cause: Exception) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_exception(LinkError(str(cause)))

    # ------------------------------------------------------------------------------ the line

    async def _own(self) -> None:
        """Open the port and keep it until it dies."""
        port = self._open_port()
        self._lost = asyncio.get_running_loop().create_future()
        try:
            port.start(self._on_bytes, self._lose)
            self._port, self.down = port, None
            self._up.set()
            if self._fault_told:
                self._fault_told = False
                self._sink.notify(FaultCleared(BUS_PART, FaultCode.DEVICE_SILENT))
            if self._failure is None:
                await self._lost
            if self._failure is not None:
                raise self._failure
        finally:
            self._port = None
            self._up.clear()
            port.close()
            self._give_up()

    def _fall(self, why: str, *, tell: bool = True) -> None:
        self.down = why
        if tell and not self._fault_told:
            self._fault_told = True
            self._sink.notify(FaultRaised(BUS_PART, FaultCode.DEVICE_SILENT, why))


def _answers_as(peer: Peer) -> int:
    """Who an answer may be of: with a CRC it names nobody."""
    return peer.address if peer.checksum is Checksum.SUM else HOST


@lru_cache(FRAMES_KEPT)
def _question(address: int, checksum: Checksum, header: Header, data: bytes) -> bytes:
    return encode_frame(Frame(address, HOST, header, data), checksum)
