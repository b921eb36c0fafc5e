"""A bus that a host reaches by a UART with a ninth bit.

The host sends blocks and acknowledges by itself, and receives in PARMRK form. The standard's times
are kept: 1.146 ms a byte.

Source: MDB/ICP 4.2, section 2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from drivers.mdb.blocks import (
    BREAK_MIN_S,
    BYTE_TIME_S,
    INTER_BYTE_TOLERANT_S,
    MAX_BLOCK_BYTES,
    RESPONSE_TOLERANT_S,
)
from simulator.ahead import Ahead
from simulator.bus import Bus
from simulator.line import LineFaults
from simulator.peripherals.base import Answer

_CONTROLS: Final = frozenset({0x00, 0xAA, 0xFF})
_ACK: Final = b"\x00"

# A timer that is later than this was not just rounded.
HELD_UP_S: Final = 0.002

# A host behind a pseudo terminal knows that this is a process like itself, and waits for some 50 ms
# longer than for hardware. What would come later comes to nobody: it is asking the next device.
HOST_WAITS_S: Final = 0.045


class Pacing(StrEnum):
    """How finely an answer's bytes are timed."""

    BYTE = "byte"  # each on its own, as a UART delivers them
    EDGES = "edges"  # the first at its time, the rest with the last: two events for any length


class NativeWire(Ahead):
    """A UART with a ninth bit, seen from the host's side.

    `host_block` knows where a block begins. `feed` takes a plain stream of bytes, as a pty gives
    it (a pty drops parity): there the first byte after a finished block is the address, the
    block's length follows from its command, and a pause ends what is not finished.

    Args:
        loop: Bus time; never sped up.
        bus: The peripherals.
        line: What goes wrong on the line.
        pacing: How finely answers are timed.
        block_gap_s: Pause that ends an unfinished block in a plain stream.
    """

    POLL_S: Final = 3 * BYTE_TIME_S
    """What a POLL and its ACK take on the line, the device's own time aside."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bus: Bus,
        line: LineFaults,
        *,
        pacing: Pacing = Pacing.BYTE,
        block_gap_s: float = INTER_BYTE_TOLERANT_S,
    ) -> None:
        super().__init__(loop)
        self.bus = bus
        self.line = line
        self._pacing = pacing
        self._gap_s = block_gap_s
        self._sink: Callable[[bytes], None] | None = None
        # Told how long after an answer's end the host acknowledges it, and of each break.
        self.on_ack: Callable[[float], None] | None = None
        self.on_break: Callable[[], None] | None = None
        self._host_free = 0.0  # when the host's transmitter has sent all it was given
        # Of each piece of an answer: when it is on the line, when the host has it, and the timer
        # that delivers it, None where it has been delivered at once.
        self._answering: list[tuple[float, float, asyncio.TimerHandle | None]] = []
        self._answer_ends = 0.0
        self._heard_at = 0.0  # when the host got its last byte: what is later never overtakes it
        self._stubborn = False
        self._ack_timer: asyncio.TimerHandle | None = None
        self._head = bytearray()
        self._head_at = 0.0

    # -- the host's side ---------------------------------------------------------------------

    def attach(self, sink: Callable[[bytes], None]) -> None:
        """Send what the host receives to `sink`."""
        self._sink = sink

    def detach(self, sink: Callable[[bytes], None]) -> None:
        """Stop sending to `sink`; bytes for nobody are lost."""
        if self._sink == sink:
            self._sink = None

    def host_block(self, block: bytes) -> None:
        """Take a block whose first byte carries the mode bit."""
        heard = self.line.towards_devices(block)
        begun = max(self._loop.time(), self._host_free)
        self._host_free = begun + len(block) * BYTE_TIME_S
        if begun < self._answer_ends and not self._stubborn:
            self._loop.call_at(begun + BYTE_TIME_S, self._silence)
        if heard:
            self._then(self._host_free, self._block, heard)

    def host_write(self, data: bytes) -> None:
        """Take bytes without the mode bit: the host's ACK, NAK or RET."""
        begun = max(self._loop.time(), self._host_free)
        self._host_free = begun + len(data) * BYTE_TIME_S
        if self.on_ack is not None and data == _ACK:
            self.on_ack(begun - max(self._answer_ends, self._heard_at))
        for index, byte in enumerate(data):
            for heard in self.line.ack_towards_devices(byte):
                self._loop.call_at(begun + (index + 1) * BYTE_TIME_S, self._control, heard)

    def host_break(self, seconds: float) -> None:
        """Take a break that begins now; one shorter than 100 ms does nothing."""
        if self.on_break is not None:
            self.on_break()
        self._host_free = max(self._loop.time(), self._host_free) + seconds
        if seconds >= BREAK_MIN_S and not self.line.dead:
            self._silence()
            self.bus.break_line()

    @property
    def quiet(self) -> bool:
        """Tell whether nothing is on the line, nor would a POLL bring more than an ACK."""
        return (
            self.line.perfect
            and self._ack_timer is None
            and not self._head
            and self._loop.time() >= max(self._host_free, self._answer_ends, self._heard_at)
            and self.bus.quiet
        )

    @property
    def clear(self) -> bool:
        """Tell whether a POLL now would pass unharmed, and its answer in no more than its time."""
        return self.line.clear and self._ack_timer is None and not self._head

    def feed(self, data: bytes) -> None:
        """Take bytes from a stream that has lost the ninth bit."""
        now = self._loop.time()
        if self._head and now - self._head_at > self._gap_s:
            self._flush()
        self._head_at = now
        for byte in data:
            head = self._head
            if not head and byte in _CONTROLS:
                # No device of ours has such an address, and an ACK to nobody does no harm.
                self.host_write(bytes((byte,)))
                continue
            head.append(byte)
            size = self.bus.length_of(bytes(head))
            if (size and len(head) >= size) or len(head) >= MAX_BLOCK_BYTES:
                self._flush()
        if self._head:
            self._loop.call_later(self._gap_s * 1.01, self._pause_over, now)

    def _pause_over(self, since: float) -> None:
        if self._head and self._head_at == since:
            self._flush()

    def _flush(self) -> None:
        block = bytes(self._head)
        self._head.clear()
        # What should have been sent by now, had this process not been held up, would come after
        # the host has dropped all that it heard before this block: for good, as noise does.
        overdue = self._loop.time() - HELD_UP_S
        for _, when, handle in self._answering:
            if handle is not None and when < overdue:
                handle.cancel()
        self.host_block(block)

    # -- the devices' side -------------------------------------------------------------------

    def _block(self, block: bytes) -> None:
        if not self._stubborn:
            # Whoever hears another block says no more of an answer to the one before: two blocks
            # come at once when this process was held up and the host has given up on the first.
            self._silence()
        self._end_ack_wait()
        answer = self.bus.deliver(block, self._loop.time())
        if answer is not None:
            self._send(answer)

    def _control(self, byte: int) -> None:
        if self._ack_timer is None or self._loop.time() < self._answer_ends:
            return  # nobody waits for it, or the device still sends and can't hear it
        self._end_ack_wait()
        answer = self.bus.control(byte)
        if answer is not None:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        data = answer.data
        plain = self.line.perfect and self._pacing is Pacing.EDGES
        marked = [] if plain else self.line.towards_host(data)
        begun = self._loop.time() + answer.delay_s
        end = begun + len(answer.data) * BYTE_TIME_S
        self._answer_ends = end
        self._stubborn = answer.stubborn
        late = max(self.line.latency_s(), self._heard_at - begun)
        self._heard_at = end + late
        call_at = self._loop.call_at
        pieces: list[tuple[float, bytes]] = []
        if plain:
            # As below, without taking the answer apart: the mode bit is on its last byte.
            last = parmrk(data[-1], True)
            if len(data) == 1:
                pieces.append((begun + BYTE_TIME_S, last))
            else:
                pieces.append((begun + BYTE_TIME_S, parmrk(data[0], False)))
                pieces.append((end, data[1:-1].replace(b"\xff", b"\xff\xff") + last))
        elif self._pacing is Pacing.BYTE:
            for index, (byte, mode) in enumerate(marked):
                pieces.append((begun + (index + 1) * BYTE_TIME_S, parmrk(byte, mode)))
        elif marked:
            first, *rest = (parmrk(byte, mode) for byte, mode in marked)
            pieces.append((begun + BYTE_TIME_S, first))
            if rest:
                pieces.append((end, b"".join(rest)))
        if answer.wants_ack:
            self._ack_timer = call_at(end + RESPONSE_TOLERANT_S + BYTE_TIME_S, self._ack_wait_over)
        answering: list[tuple[float, float, asyncio.TimerHandle | None]] = []
        self._answering = answering
        leaps = self.leaps
        for at, piece in pieces:
            when = at + late
            if leaps is not None and leaps.leap(when):
                answering.append((at, when, None))
                self._to_host(piece)
            else:
                timer = call_at(when, self._due, answering, when, piece)
                answering.append((at, when, timer))
                leaps = None  # the rest comes behind it

    def _due(
        self,
        answer: Sequence[tuple[float, float, asyncio.TimerHandle | None]],
        when: float,
        piece: bytes,
    ) -> None:
        if self._loop.time() - when <= HOST_WAITS_S:
            self._to_host(piece)
            return
        for _, _, timer in answer:  # the rest of it would be noise
            if timer is not None:
                timer.cancel()

    def _to_host(self, data: bytes) -> None:
        for chunk in self.line.chunks(data):
            if self._sink is not None:
                self._sink(chunk)

    def _silence(self) -> None:
        """Stop an answer that another block has cut short."""
        now = self._loop.time()
        left = [piece for piece in self._answering if piece[0] <= now]
        for at, _, handle in self._answering:
            if at > now and handle is not None:
                handle.cancel()
        if len(left) < len(self._answering):
            self._heard_at = max((when for _, when, _ in left), default=now)
        self._answering = left

    def _ack_wait_over(self) -> None:
        self._ack_timer = None
        self.bus.unanswered()

    def _end_ack_wait(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None


def parmrk(byte: int, mode: bool) -> bytes:
    """Return a received byte as a tty with PARMRK delivers it, receive parity being space."""
    if mode:
        return bytes((0xFF, 0x00, byte))
    return b"\xff\xff" if byte == 0xFF else bytes((byte,))
