"""What the world knows before the line is asked: which polls will bring nothing new.

A swarm spends most of its virtual time idle. The bus's driver asks here before each poll; what is
answered here would have been answered by an ACK on the line, or as the poll before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.cctalk.frames import BYTE_TIME_S, FRAME_OVERHEAD, READ_S
from drivers.mdb.blocks import ADDRESS_MASK
from simulator.adapter_wire import AdapterWire
from simulator.cctalk_wire import CcTalkWire
from simulator.clock import VirtualLoop
from simulator.native_wire import NativeWire
from simulator.peripherals.cctalk_base import ANSWER_S


class WorldForesight:
    """Foresight over one wire; see ``drivers.mdb.slots.Foresight``."""

    def __init__(self, loop: VirtualLoop, wire: AdapterWire | NativeWire) -> None:
        """Bind both."""
        self._loop = loop
        self._wire = wire
        self._nap: tuple[asyncio.TimerHandle, Callable[[], bool]] | None = None

    def napping(self, timer: asyncio.TimerHandle, foreseen: Callable[[], bool]) -> None:
        """Keep the timer of the next poll, and who tells whether it will bring nothing."""
        self._nap = timer, foreseen

    def next_event(self) -> float | None:
        """Return when the next timer is due; polls that bring nothing are no event."""
        if self._nap is not None and self._nap[1]():
            return self._loop.deadline_behind(self._nap[0])
        return self._loop.next_deadline()

    def idle_until(self, poll: bytes, after: float) -> float:
        """Return when the next timer is due, 0.0 while something is about to happen."""
        due = self._loop.calm_until()  # asked first: mostly it is too soon, and devices are many
        if due <= after or not self._wire.clear:
            return 0.0
        device = self._wire.bus.peripherals.get(poll[0] & ADDRESS_MASK)
        return due if device is not None and device.steady else 0.0

    def steady(self, poll: bytes) -> bool:
        """Tell whether the device has nothing new to say."""
        device = self._wire.bus.peripherals.get(poll[0] & ADDRESS_MASK)
        return device is None or device.steady

    def repeated(self, poll: bytes) -> float:
        """Tell how long the line would be busy with a poll that brings what the last one did."""
        wire = self._wire
        if not wire.clear:
            return 0.0
        device = wire.bus.peripherals.get(poll[0] & ADDRESS_MASK)
        if device is None or not device.steady or wire.bus.would_chatter:
            return 0.0
        return device.answer_s + wire.POLL_S

    def pass_until(self, due: float) -> bool:
        """Let time jump to ``due``, as the loop would next, if nothing else is due by then."""
        return self._loop.leap(due)

    def alone(self) -> bool:
        """Tell whether nothing else is ready."""
        return not self._loop.busy

    def acked(self, poll: bytes) -> float:
        """Have the device answer a poll without the line, if its answer is a plain ACK."""
        wire = self._wire
        if not wire.clear:
            return 0.0
        response_s = wire.bus.polled_in_vain(poll[0] & ADDRESS_MASK)
        return 0.0 if response_s is None else response_s + wire.POLL_S


class LineForesight:
    """Foresight over a ccTalk line; see ``drivers.cctalk.rests.Foresight``."""

    def __init__(self, loop: VirtualLoop, wire: CcTalkWire, beside: WorldForesight) -> None:
        """Bind them; ``beside`` foresees the other bus of the same machine."""
        self._loop = loop
        self._wire = wire
        self._beside = beside

    def pass_until(self, due: float) -> bool:
        """Let time jump to ``due``, as the loop would next, if nothing else is due by then."""
        return self._loop.leap(due)

    def horizon(self) -> float:
        """Return when the next timer is due, 0.0 while something is about to happen."""
        if self._loop.busy or not self._wire.clear:
            return 0.0
        return self._beside.next_event() or 0.0

    def beat(self, address: int) -> tuple[float, float] | None:
        """Tell how a read of a device's events goes that brings what the last one did."""
        device = self._wire.devices.get(address)
        return None if device is None else device.beat

    def read(self, address: int, header: int) -> tuple[bytes, float] | None:
        """Have a device answer without the line, if nothing else happens until it has heard."""
        device = self._wire.devices.get(address)
        if device is None or not device.fit or not self._wire.clear:
            return None
        received = self._loop.time() + READ_S
        if not self._loop.leap(received):
            return None
        data = device.look(header)
        return data, received + ANSWER_S + (len(data) + FRAME_OVERHEAD) * BYTE_TIME_S

    def polled(self, address: int, at: float) -> None:
        """Have a device believe that its events were read at that time."""
        self._wire.devices[address].polled(at)
