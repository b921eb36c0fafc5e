"""A bus that a host reaches by a box with a text protocol.

It does timing, checksums and acknowledgements for the host, and keeps the standard's times:
1.146 ms a byte.

Source: MDB/ICP 4.2, section 2; the public pages of the MDB-USB adapter's maker (generic master).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from drivers.mdb.blocks import (
    ACK,
    BYTE_TIME_S,
    MAX_BLOCK_BYTES,
    RESPONSE_S,
    checksum,
)
from simulator.ahead import Ahead
from simulator.bus import Bus
from simulator.line import LineFaults

ADAPTER_BAUD: Final = 115_200
_CHAR_S: Final = 10 / ADAPTER_BAUD
_MAX_LINE: Final = 256
"""Characters of a command that never ends: the adapter drops it."""
_MAX_QUEUE: Final = 64
"""Commands that wait in the adapter; a host sends one at a time, so more is noise."""


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
        self._asked = b""  # the last block
        # Both directions are a line: what is sent later arrives later, however short it is.
        self._heard_until = 0.0
        self._said_until = 0.0
        self._arriving = 0  # pieces of the host's text on their way
        self.on_spoilt: Callable[[bytes, bytes], None] | None = None  # block, and what it brought

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
        now = self._loop.time()
        at = self._heard_until = max(now, self._heard_until) + len(data) * _CHAR_S
        block = self._lone_request(heard)
        if block:
            # One event instead of two for what comes a thousand times an hour: an idle adapter
            # begins the block when it has read the line.
            self._busy = True
            self._then(at + len(block) * BYTE_TIME_S, self._send_block, block)
        else:
            self._arriving += 1
            self._loop.call_at(at, self._take, heard)

    def _lone_request(self, line: bytes) -> bytes:
        """Return the block that a line asks for, if it is one that nothing stands before."""
        if not (self.master and line[:2] == b"R," and line.find(b"\n") == len(line) - 1):
            return b""
        if self._busy or self._commands or self._text or self._arriving:
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
        self._arriving -= 1
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
        self._asked = block
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
                self._then(self._sent(line, wait), self._done_and_said, line)
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
        when = self._sent(data, self.line.latency_s())
        if self._commands:
            self._loop.call_at(when, self._to_host, data)  # it goes on with the next one meanwhile
        else:
            self._then(when, self._to_host, data)

    def _sent(self, data: bytes, after_s: float) -> float:
        """Return when a line is with the host, behind all that was said before it."""
        takes_s = len(data) * _CHAR_S
        when = max(self._loop.time() + (takes_s + after_s), self._said_until + takes_s)
        self._said_until = when
        return when

    def _to_host(self, data: bytes) -> None:
        heard = self.line.text_towards_host(data)
        if heard != data and self.on_spoilt is not None and data.startswith(b"p,"):
            self.on_spoilt(self._asked, data)
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
