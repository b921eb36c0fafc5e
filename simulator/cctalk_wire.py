"""A ccTalk line: one wire for both ways, where the host hears its own bytes.

Source: ccTalk Generic Specification 4.7, part 1 (format, timing, echo).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from drivers.cctalk.frames import BYTE_TIME_S, FRAME_OVERHEAD, INTER_BYTE_S
from simulator.clock import VirtualLoop
from simulator.line import LineFaults
from simulator.peripherals.cctalk_base import CcTalkDevice


class CcTalkWire:
    """The devices on one line, and the host's end of it.

    Args:
        loop: Bus time; never sped up.
        devices: At most one for each address.
        line: What goes wrong on the line.
        echo: The adapter returns what the host sends.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        devices: Iterable[CcTalkDevice],
        line: LineFaults | None = None,
        *,
        echo: bool = True,
    ) -> None:
        self.devices = {device.address: device for device in devices}
        self.line = line or LineFaults()
        self.echo = echo
        self.collisions = 0
        """The next N requests meet somebody else's bytes."""
        self._loop = loop
        self.leaps: VirtualLoop | None = None  # as `simulator.ahead.Ahead`
        self._sink: Callable[[bytes], None] | None = None
        self._partial = bytearray()
        self._heard_at = float("-inf")
        self._free_at = 0.0
        self._to_host_at = 0.0

    # -- the host's side ---------------------------------------------------------------------

    def attach(self, sink: Callable[[bytes], None]) -> None:
        """Send what the host receives to `sink`."""
        self._sink = sink

    def detach(self, sink: Callable[[bytes], None]) -> None:
        """Stop sending to `sink`; bytes for nobody are lost."""
        if self._sink == sink:
            self._sink = None

    def host_write(self, data: bytes) -> None:
        """Take what the host sends, and give it back."""
        begun = max(self._loop.time(), self._free_at)
        self._free_at = begun + len(data) * BYTE_TIME_S
        heard = self.line.towards_devices(data)
        leaps = self.leaps
        if leaps is not None and self.line.clear and self.collisions <= 0 and heard == data:
            self._at_once(leaps, data)
            return
        if self.echo and not self.line.dead:
            returned = data
            if self.collisions > 0:
                self.collisions -= 1
                returned = bytes((data[0] ^ 0x10,)) + data[1:]
                heard = b""
            # Our own bytes come back while they are sent, however late somebody's answer is.
            self._to_host_at = max(self._free_at, self._to_host_at)
            for chunk in self.line.chunks(returned):
                self._loop.call_at(self._free_at, self._to_host, chunk)
        if heard:
            self._loop.call_at(self._free_at, self._take, heard)

    def _at_once(self, leaps: VirtualLoop, data: bytes) -> None:
        """Carry a whole question, and its answer, while the host waits for nothing else."""
        if self.echo:
            self._to_host_at = max(self._free_at, self._to_host_at)
        if self._to_host_at <= self._free_at and leaps.leap(self._free_at):
            if self.echo:
                self._to_host(data)
            self._take(data)
            return
        if self.echo:
            self._loop.call_at(self._free_at, self._to_host, data)
        self._loop.call_at(self._free_at, self._take, data)

    feed = host_write

    @property
    def quiet(self) -> bool:
        """Tell whether nothing is on the line."""
        return self._loop.time() >= max(self._free_at, self._to_host_at)

    @property
    def clear(self) -> bool:
        """Tell whether a question now would pass unharmed, and nobody counts its parts."""
        return self.leaps is not None and self.line.clear and not self.collisions and self.quiet

    # -- the devices' side -------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        now = self._loop.time()
        if now - self._heard_at > INTER_BYTE_S + len(data) * BYTE_TIME_S:
            self._partial.clear()
        self._heard_at = now
        self._partial += data
        while len(self._partial) >= 2:
            size = self._partial[1] + FRAME_OVERHEAD
            if len(self._partial) < size:
                return
            frame = bytes(self._partial[:size])
            del self._partial[:size]
            device = self.devices.get(frame[0])
            answer = None if device is None else device.receive(frame, now)
            if answer is not None:
                delay, raw = answer
                line = self.line
                heard = raw if line.perfect else bytes(byte for byte, _ in line.towards_host(raw))
                end = now + delay + len(raw) * BYTE_TIME_S + line.latency_s()
                self._send(end, heard)

    def _send(self, at: float, data: bytes) -> None:
        at = max(at, self._to_host_at)
        self._to_host_at = at
        leaps = self.leaps
        if leaps is not None and self.line.clear and not self._partial and leaps.leap(at):
            self._to_host(data)
            return
        for chunk in self.line.chunks(data):
            self._loop.call_at(at, self._to_host, chunk)

    def _to_host(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink(data)
