"""The bus between a host and its peripherals, and the two ways a host reaches it.

`NativeWire` is a UART with a ninth bit: the host sends blocks and acknowledges by itself, and
receives in PARMRK form. `AdapterWire` is the box with a text protocol that does timing, checksums
and acknowledgements for the host. Both keep the standard's times: 1.146 ms a byte.

Source: MDB/ICP 4.2, section 2; the public pages of the MDB-USB adapter's maker (generic master).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from drivers.mdb.blocks import (
    ACK,
    ADDRESS_MASK,
    BREAK_MIN_S,
    BYTE_TIME_S,
    INTER_BYTE_TOLERANT_S,
    MAX_BLOCK_BYTES,
    RESPONSE_S,
    RESPONSE_TOLERANT_S,
    Control,
    checksum,
    classify_control,
)
from simulator.clock import VirtualLoop
from simulator.line import LineFaults
from simulator.peripherals.base import Answer, Peripheral

_CONTROLS: Final = frozenset({0x00, 0xAA, 0xFF})

ADAPTER_BAUD: Final = 115_200
_CHAR_S: Final = 10 / ADAPTER_BAUD
_MAX_LINE: Final = 256
"""Characters of a command that never ends: the adapter drops it."""
_MAX_QUEUE: Final = 64
"""Commands that wait in the adapter; a host sends one at a time, so more is noise."""


class Bus:
    """The peripherals on one line, and who owes whom an acknowledgement.

    Args:
        peripherals: At most one for each address.
    """

    def __init__(self, peripherals: Iterable[Peripheral]) -> None:
        self.peripherals = {device.address: device for device in peripherals}
        self._faults = [device.common_faults for device in self.peripherals.values()]
        self._unacked: Peripheral | None = None

    def length_of(self, head: bytes) -> int | None:
        """Return the length of the block that begins so; 0 when nobody can tell."""
        device = self.peripherals.get(head[0] & ADDRESS_MASK)
        return 0 if device is None else device.length_of(head)

    def deliver(self, block: bytes, now: float) -> Answer | None:
        """Hand a block to whom it is for; an acknowledgement still owed counts as not given."""
        self.unanswered()
        device = self.peripherals.get(block[0] & ADDRESS_MASK)
        answer: Answer | None = None
        if device is not None:
            size = device.length_of(block)
            if size is None or size > len(block):
                size = -1
            if size >= 0:
                answer = device.receive(block[:size] if size else block, now)
                if answer is not None and answer.wants_ack:
                    self._unacked = device
        if self.would_chatter:
            for other in self.peripherals.values():
                if other.would_chatter and other is not device and other.chatters():
                    answer = answer or Answer(RESPONSE_S / 2, bytes((ACK,)))
                    answer = Answer(answer.delay_s, bytes((ACK, *answer.data)))
        return answer

    def control(self, byte: int) -> Answer | None:
        """Hand the host's lone byte to the device that has just sent data; others ignore it."""
        device, self._unacked = self._unacked, None
        if device is None:
            return None
        match classify_control(byte):
            case Control.ACK:
                device.acked()
                return None
            case Control.RET:
                answer = device.ret()
                if answer is not None and answer.wants_ack:
                    self._unacked = device
                return answer
            case _:
                device.naked()
                return None

    def unanswered(self) -> None:
        """Note that the host gave no acknowledgement in time."""
        device, self._unacked = self._unacked, None
        if device is not None:
            device.naked()

    @property
    def awaits_ack(self) -> bool:
        """Tell whether a device has sent data and heard nothing yet."""
        return self._unacked is not None

    def break_line(self) -> None:
        """Reset every peripheral."""
        self._unacked = None
        for device in self.peripherals.values():
            device.bus_break()

    def polled_in_vain(self, address: int) -> float | None:
        """Take a POLL off the line, if its answer is a plain ACK.

        Returns:
            How long the device takes to begin its answer, seconds; None: it must be sent.
        """
        device = self.peripherals.get(address)
        if device is None or self._unacked is not None:
            return None
        return None if self.would_chatter else device.polled_in_vain()

    @property
    def would_chatter(self) -> bool:
        """Tell whether some device would wrongly answer a command that is for another."""
        for faults in self._faults:  # noqa: SIM110 - asked at every poll
            if faults.chatter > 0:
                return True
        return False

    @property
    def quiet(self) -> bool:
        """Tell whether every POLL now would bring a plain ACK and change nothing."""
        return all(device.quiet for device in self.peripherals.values())


class Ahead:
    """Does what is due next at once, where nothing else would happen before it.

    A host that has sent a request waits for the answer. In virtual time the wire may then go
    through all of it, each part at its own time, before the host's call returns.

    Attributes:
        leaps: The loop whose time may pass so; None to set timers, as the real time needs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.leaps: VirtualLoop | None = None

    def _then(self, when: float, callback: Callable[..., object], *args: object) -> None:
        """Call back at ``when``; the last thing that a part does."""
        leaps = self.leaps
        if leaps is not None and leaps.leap(when):
            callback(*args)
        else:
            self._loop.call_at(when, callback, *args)


# A timer that is later than this was not just rounded.
HELD_UP_S: Final = 0.002


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
        for index, byte in enumerate(data):
            for heard in self.line.ack_towards_devices(byte):
                self._loop.call_at(begun + (index + 1) * BYTE_TIME_S, self._control, heard)

    def host_break(self, seconds: float) -> None:
        """Take a break that begins now; one shorter than 100 ms does nothing."""
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
                answering.append((at, when, call_at(when, self._to_host, piece)))
                leaps = None  # the rest comes behind it

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


@dataclass(slots=True)
class AdapterSettings:
    """How the box behaves."""

    version: str = "v,4.0.3.0,2c0042001351363434393330"
    hardware: str = "h,4.1,01"
    response_timeout_s: float = RESPONSE_S
    answers_reset: bool = True  # says p,ACK to R,RESET


class AdapterWire(Ahead):
    """A USB adapter that is the bus master for its host: text commands in, text answers out.

    Args:
        loop: Bus time; never sped up.
        bus: The peripherals.
        line: What goes wrong between host and adapter.
        bus_line: What goes wrong between adapter and peripherals.
        settings: How the box behaves.
    """

    POLL_S: Final = 3 * BYTE_TIME_S + len("R,0B\np,ACK\n") * _CHAR_S
    """What a POLL and its ACK take from the host and back, the device's own time aside."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bus: Bus,
        line: LineFaults,
        bus_line: LineFaults,
        settings: AdapterSettings | None = None,
    ) -> None:
        super().__init__(loop)
        self.bus = bus
        self.line = line
        self.bus_line = bus_line
        self.settings = settings or AdapterSettings()
        self.master = False
        self._sink: Callable[[bytes], None] | None = None
        self._text = bytearray()
        self._commands: deque[str] = deque(maxlen=_MAX_QUEUE)
        self._busy = False
        self._timeout_s = self.settings.response_timeout_s

    def attach(self, sink: Callable[[bytes], None]) -> None:
        """Send the adapter's lines to `sink`."""
        self._sink = sink

    def detach(self, sink: Callable[[bytes], None]) -> None:
        """Stop sending to `sink`; lines for nobody are lost."""
        if self._sink == sink:
            self._sink = None

    def host_write(self, data: bytes) -> None:
        """Take text from the host; lines end with LF, CR or both."""
        heard = self.line.text_towards_devices(data)
        if not heard:
            return
        at = self._loop.time() + len(data) * _CHAR_S
        block = self._lone_request(heard)
        if block:
            # One event instead of two for what comes a thousand times an hour: an idle adapter
            # begins the block when it has read the line.
            self._busy = True
            self._then(at + len(block) * BYTE_TIME_S, self._send_block, block)
        else:
            self._loop.call_at(at, self._take, heard)

    def _lone_request(self, line: bytes) -> bytes:
        """Return the block that a line asks for, if it is one that nothing stands before."""
        if not (self.master and line[:2] == b"R," and line.find(b"\n") == len(line) - 1):
            return b""
        if self._busy or self._commands or self._text:
            return b""
        return _asked_for(line)

    feed = host_write

    @property
    def clear(self) -> bool:
        """Tell whether a POLL now would pass unharmed, and its answer in no more than its time."""
        return (
            self.line.clear
            and self.bus_line.clear
            and self.master
            and not self._busy
            and not self._commands
            and not self._text
        )

    @property
    def quiet(self) -> bool:
        """Tell whether the adapter has nothing to do, nor would a POLL bring more than an ACK."""
        return (
            self.line.perfect
            and self.bus_line.perfect
            and not self._busy
            and not self._commands
            and not self._text
            and self.bus.quiet
        )

    def restart(self) -> None:
        """Lose the adapter's own supply: its memory, not that of the bus."""
        self.master = False
        self._text.clear()
        self._commands.clear()
        self._timeout_s = self.settings.response_timeout_s

    def _take(self, data: bytes) -> None:
        for byte in data:
            if byte in b"\r\n":
                if self._text:
                    self._commands.append(self._text.decode("ascii", "replace").strip())
                    self._text.clear()
            else:
                self._text.append(byte)
                if len(self._text) > _MAX_LINE:
                    self._text.clear()
        self._next()

    def _next(self) -> None:
        while self._commands and not self._busy:
            self._run(self._commands.popleft())

    def _run(self, command: str) -> None:
        word, _, rest = command.partition(",")
        match word, rest:
            case "V", "":
                self._say(self.settings.version)
            case "H", "":
                self._say(self.settings.hardware)
            case "M", "0" | "1":
                self.master = rest == "1"
                self._say("m,ACK")
            case "R", "RESET" if self.master:
                self._break()
            case "R", _ if self.master:
                self._request(rest)
            case "F", _ if rest.startswith("RESPTIMEOUT,"):
                self._set_timeout(rest.partition(",")[2])
            case "L" | "X", "0" | "1":
                self._say(f"{word.lower()},ACK")
            case _:
                self._say(f"{word[:1].lower() if word[:1].isalpha() else 'e'},NACK")

    def _set_timeout(self, text: str) -> None:
        if text.isdecimal() and 10 <= int(text) <= 1000:
            self._timeout_s = int(text) / 1000
            self._say("f,ACK")
        else:
            self._say("f,NACK")

    def _break(self) -> None:
        self._busy = True
        if not self.bus_line.dead:
            self.bus.break_line()
        self._loop.call_later(0.2, self._done, "p,ACK" if self.settings.answers_reset else None)

    def _request(self, text: str) -> None:
        block = _block(text)
        if not block:
            self._say("p,NACK")
            return
        self._busy = True
        self._loop.call_later(len(block) * BYTE_TIME_S, self._send_block, block)

    def _send_block(self, block: bytes) -> None:
        heard = self.bus_line.towards_devices(block)
        answer = self.bus.deliver(heard, self._loop.time()) if heard else None
        if answer is None or answer.delay_s > self._timeout_s:
            self.bus.unanswered()
            self._then(self._loop.time() + self._timeout_s, self._done, "p,NACK")
            return
        if self.bus_line.perfect:
            data, whole = answer.data, True
        else:
            marked = self.bus_line.towards_host(answer.data)
            data = bytes(byte for byte, _ in marked)
            whole = bool(marked) and marked[-1][1] and not any(mode for _, mode in marked[:-1])
        wait = answer.delay_s + len(answer.data) * BYTE_TIME_S
        if not whole or (len(data) > 1 and data[-1] != checksum(data[:-1])):
            self._loop.call_later(max(wait, self._timeout_s), self._refuse)
        elif len(data) == 1:
            word = "p,ACK" if data[0] == ACK else "p,NACK"
            if self.line.clear and not self._commands:
                # Nobody waits for the bus to be free, so this is one event instead of two.
                line = f"{word}\n".encode("ascii")
                at = self._loop.time() + wait + len(line) * _CHAR_S
                self._then(at, self._done_and_said, line)
            else:
                self._loop.call_later(wait, self._done, word)
        else:
            self._then(self._loop.time() + (wait + BYTE_TIME_S), self._accept, data[:-1])

    def _refuse(self) -> None:
        self.bus.unanswered()
        self._done("p,NACK")

    def _accept(self, payload: bytes) -> None:
        """Acknowledge by itself, whether or not a host is there to read the line."""
        heard = self.bus_line.ack_towards_devices(ACK)
        if heard:
            self.bus.control(heard[0])
        else:
            self.bus.unanswered()
        self._done(f"p,{payload.hex().upper()}")

    def _done(self, line: str | None) -> None:
        self._busy = False
        if line is not None:
            self._say(line)
        self._next()

    def _done_and_said(self, line: bytes) -> None:
        self._busy = False
        self._to_host(line)
        self._next()

    def _say(self, line: str) -> None:
        data = f"{line}\n".encode("ascii")
        when = self._loop.time() + (len(data) * _CHAR_S + self.line.latency_s())
        if self._commands:
            self._loop.call_at(when, self._to_host, data)  # it goes on with the next one meanwhile
        else:
            self._then(when, self._to_host, data)

    def _to_host(self, data: bytes) -> None:
        heard = self.line.text_towards_host(data)
        for chunk in self.line.chunks(heard):
            if self._sink is not None:
                self._sink(chunk)


@lru_cache(256)  # a host says the same few things for ever
def _asked_for(line: bytes) -> bytes:
    """Return the block of a request's line."""
    return _block(line[2:-1].decode("ascii", "replace"))


def _block(text: str) -> bytes:
    """Return the block of a request's text, an empty one when it is none."""
    try:
        payload = bytes.fromhex(text.replace(",", ""))
    except ValueError:
        return b""
    if not payload or len(payload) >= MAX_BLOCK_BYTES:
        return b""
    return payload + bytes((checksum(payload),))
