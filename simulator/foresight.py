"""What the world knows before the line is asked: which polls will bring nothing new.

A swarm spends most of its virtual time idle. The bus's driver asks here before each poll; what is
answered here would have been answered by an ACK on the line, or as the poll before it.
"""

from __future__ import annotations

from drivers.mdb.blocks import ADDRESS_MASK
from simulator.clock import VirtualLoop
from simulator.wires import AdapterWire, NativeWire


class WorldForesight:
    """Foresight over one wire; see ``drivers.mdb.slots.Foresight``."""

    def __init__(self, loop: VirtualLoop, wire: AdapterWire | NativeWire) -> None:
        """Bind both."""
        self._loop = loop
        self._wire = wire

    def idle_until(self, poll: bytes) -> float:
        """Return when the next timer is due, 0.0 while something is about to happen."""
        loop = self._loop
        if loop.busy or not self._wire.clear:
            return 0.0
        device = self._wire.bus.peripherals.get(poll[0] & ADDRESS_MASK)
        if device is None or not device.steady:
            return 0.0
        return loop.next_deadline() or 0.0

    def repeated(self, poll: bytes) -> float:
        """Tell how long the line would be busy with a poll that brings what the last one did."""
        wire = self._wire
        if not wire.clear:
            return 0.0
        device = wire.bus.peripherals.get(poll[0] & ADDRESS_MASK)
        if device is None or not device.steady or wire.bus.would_chatter:
            return 0.0
        return device.answer_s + wire.POLL_S

    def acked(self, poll: bytes) -> float:
        """Have the device answer a poll without the line, if its answer is a plain ACK."""
        wire = self._wire
        if not wire.clear:
            return 0.0
        response_s = wire.bus.polled_in_vain(poll[0] & ADDRESS_MASK)
        return 0.0 if response_s is None else response_s + wire.POLL_S
