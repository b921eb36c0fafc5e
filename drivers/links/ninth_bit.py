"""The native link: the line itself, with the mode bit carried by a UART's parity bit.

Sends blocks through a `NinthBitPort`, reads PARMRK bytes back, verifies checksums, asks a damaged
block again (RET) and leaves the acknowledgement to its caller. It knows bytes and times; which
device is meant and what a block says is none of its business.

Source: MDB/ICP 4.2, section 2 (format, timing) and appendix 3 (tolerances, set bits, NAK).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from controller.faults import LinkError
from controller.ports import LinkCapabilities
from drivers.links.mdb_link import (
    ACKED,
    NAKED,
    NEARLY_ACKED,
    SILENT,
    Answer,
    AnswerKind,
    LinkCounters,
)
from drivers.links.parmrk import MARKED, ParmrkDecoder
from drivers.links.port import NinthBitPort
from drivers.mdb.blocks import (
    ACK,
    BREAK_S,
    BYTE_TIME_S,
    INTER_BYTE_TOLERANT_S,
    MAX_BLOCK_BYTES,
    NAK,
    RESPONSE_TOLERANT_S,
    RET,
    SETTLE_S,
    Control,
    build_block,
    classify_control,
    hex_bytes,
)

OS_SLACK_S: Final = 0.005
"""What the operating system may add between the wire and us: the receive timeout of a UART's FIFO
(32 bit times, 3.3 ms) and a late timer (0.8 ms on a stock kernel)."""

RET_LIMIT: Final = 2
"""Damaged blocks asked again at once. More would hold the line too long for the other devices; the
peripheral keeps its data and the next POLL brings it again."""

_FIRST_BYTE_S: Final = RESPONSE_TOLERANT_S + BYTE_TIME_S + OS_SLACK_S
"""The first byte shows up one byte time after the answer began; only the first byte is timed."""

_NEXT_BYTE_S: Final = INTER_BYTE_TOLERANT_S + BYTE_TIME_S + OS_SLACK_S

_ACK_BYTE: Final = bytes((ACK,))
_NAK_BYTE: Final = bytes((NAK,))
_RET_BYTE: Final = bytes((RET,))

_SINGLES: Final = {bytes((first,)): build_block(bytes((first,))) for first in range(256)}
"""Every one-byte request as a block: polls are sent for ever."""


class NinthBitLink:
    """`MdbLink` over a port whose parity bit is the mode bit.

    Args:
        open_port: Opens the port; raises LinkError when it can't.
        slack_s: Added to both receive times for a port that is slow to hand bytes over (a USB
            converter's latency timer: up to 16 ms).
    """

    def __init__(self, open_port: Callable[[], NinthBitPort], *, slack_s: float = 0.0) -> None:
        self._open_port = open_port
        self._first_byte_s = _FIRST_BYTE_S + slack_s
        self._next_byte_s = _NEXT_BYTE_S + slack_s
        self._port: NinthBitPort | None = None
        self._why_lost = "the MDB port is closed"
        self._decoder = ParmrkDecoder()
        self._rx = bytearray()
        self._waiter: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._sent_until = 0.0  # when the last byte we wrote has left the wire
        self._damaged = False  # the last answer was whole, its checksum wrong
        self.answered_at = 0.0
        self.counters = LinkCounters()

    @property
    def capabilities(self) -> LinkCapabilities:
        """Return that acknowledgements can be held back."""
        return LinkCapabilities(withholds_ack=True, bus_reset=True)

    async def open(self) -> None:
        """Open the port. Nothing is sent: a break would charge approved cards."""
        self.close()
        port = self._open_port()
        port.start(self._on_bytes, self._lose)
        self._port = port
        self.counters.reopened += 1

    def close(self) -> None:
        """Give the port back; idempotent."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    async def exchange(self, payload: bytes) -> Answer:
        """Send a block, bring its answer; see `MdbLink.exchange`."""
        port = self._port
        if port is None:
            raise LinkError(self._why_lost)
        block = _SINGLES.get(payload) or build_block(payload)
        self.counters.exchanges += 1
        waiter = self._listen(len(block))
        try:
            port.write_block(block)
        except LinkError as cause:
            self._waiter = None
            self._lose(cause)
            raise
        answer = await self._answer(waiter)
        tries = 0
        while answer.kind is AnswerKind.GARBLED and self._may_ask_again() and tries < RET_LIMIT:
            tries += 1
            self.counters.rets += 1
            waiter = self._listen(1)
            if not self._control(_RET_BYTE):
                break
            again = await self._answer(waiter)
            if again.kind is AnswerKind.DATA:
                return again
            if again.kind is not AnswerKind.GARBLED:
                break  # it no longer holds the block, or did not hear us: the next POLL tells
            answer = again
        if answer.kind is AnswerKind.SILENCE:
            self.counters.silences += 1
        elif answer.kind is AnswerKind.GARBLED:
            self.counters.garbled += 1
        elif answer.kind is AnswerKind.NAK:
            self.counters.naks += 1
            # A second device's answer may follow a NAK: wait the time out (appendix 3).
            await asyncio.sleep(self._first_byte_s)
        return answer

    def ack(self) -> None:
        """Acknowledge; the caller keeps the 5 ms."""
        self._control(_ACK_BYTE)

    def nak(self) -> None:
        """Say that the block was bad; the peripheral keeps its data, as after silence."""
        self._control(_NAK_BYTE)

    async def bus_reset(self) -> None:
        """Reset every peripheral on the bus; see `MdbLink.bus_reset`."""
        if self._port is None:
            raise LinkError(self._why_lost)
        await self._port.send_break(BREAK_S)
        await asyncio.sleep(SETTLE_S)

    # ------------------------------------------------------------------------------ receive

    def _listen(self, sending: int) -> asyncio.Future[Answer]:
        """Drop what is left of earlier answers and wait for a new one."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        # Stale bytes (collision, chatter, an answer that came too late) belong to nobody.
        self.counters.stray_bytes += len(self._rx)
        self._rx.clear()
        self._decoder.reset()
        self._sent_until = max(now, self._sent_until) + sending * BYTE_TIME_S
        self._deadline = self._sent_until + self._first_byte_s
        self._waiter = waiter = loop.create_future()
        self._timer = loop.call_at(self._deadline, self._on_timer)
        return waiter

    async def _answer(self, waiter: asyncio.Future[Answer]) -> Answer:
        try:
            return await waiter
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._waiter = None

    def _on_bytes(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            self.counters.stray_bytes += len(data)
            return
        rx = self._rx
        for value in self._decoder.feed(data):
            rx.append(value & 0xFF)
            if value & MARKED:
                self.answered_at = asyncio.get_running_loop().time()
                waiter.set_result(self._judge(bytes(rx)))
                rx.clear()
                return
        if len(rx) > MAX_BLOCK_BYTES:
            waiter.set_result(_garbled("no end within 36 bytes", rx))
            rx.clear()
            return
        self._deadline = asyncio.get_running_loop().time() + self._next_byte_s

    def _on_timer(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline:
            self._timer = loop.call_at(self._deadline, self._on_timer)
            return
        waiter.set_result(_garbled("cut short", self._rx) if self._rx else SILENT)
        self._rx.clear()

    def _judge(self, block: bytes) -> Answer:
        self._damaged = False
        if len(block) == 1:
            match classify_control(block[0]):
                case Control.ACK:
                    return ACKED if block[0] == ACK else NEARLY_ACKED
                case Control.NAK:
                    return NAKED
                case _:
                    return _garbled("no control byte", block)
        if len(block) > MAX_BLOCK_BYTES:
            return _garbled("more than 36 bytes", block)
        if sum(block[:-1]) & 0xFF != block[-1]:
            self._damaged = True
            return _garbled("wrong checksum", block)
        return Answer(AnswerKind.DATA, block[:-1])

    def _may_ask_again(self) -> bool:
        """A whole block with a wrong checksum: its sender still waits for our word."""
        damaged, self._damaged = self._damaged, False
        return damaged

    # --------------------------------------------------------------------------------- send

    def _control(self, byte: bytes) -> bool:
        port = self._port
        if port is None:
            return False
        now = asyncio.get_running_loop().time()
        self._sent_until = max(now, self._sent_until) + BYTE_TIME_S
        try:
            port.write(byte)
        except LinkError as cause:
            self._lose(cause)
            return False
        return True

    def _lose(self, cause: Exception) -> None:
        self._why_lost = str(cause)
        self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Answer(AnswerKind.SILENCE, why="the port was lost"))


def _garbled(why: str, block: bytes | bytearray) -> Answer:
    return Answer(AnswerKind.GARBLED, why=f"{why}: {hex_bytes(block)}")
