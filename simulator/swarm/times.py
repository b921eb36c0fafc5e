"""The oracle of MDB's own times, at the line and at the devices (MDB/ICP 4.2, sections 2 and 5).

An acknowledgement leaves within 5 ms of an answer or not at all, nobody breaks the line while a
machine lives, and no changer is asked for its tubes right behind a reset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from drivers.mdb.blocks import (
    COMMAND_MASK,
    RESPONSE_S,
    TUBE_STATUS_AFTER_RESET_S,
)
from simulator.native_wire import NativeWire
from simulator.swarm.evidence import NEVER
from simulator.whole import Whole

CHANGER: Final = "changer"
RESET: Final = 0
TUBE_STATUS: Final = 2
EPSILON_S: Final = 1e-6


class Times:
    """Listens on one machine's line.

    Args:
        machine: The machine; its devices' commands are told by ``heard``.
        tell: Takes what is wrong.
    """

    def __init__(self, machine: Whole, tell: Callable[[str], None]) -> None:
        self._machine = machine
        self._tell = tell
        self._reset_s = NEVER  # of the changer
        wire = machine.world.wire
        if isinstance(wire, NativeWire):
            wire.on_ack = self._acknowledged
            wire.on_break = lambda: tell("the line was broken: approved cards are charged by that")

    def _acknowledged(self, after_s: float) -> None:
        if after_s > RESPONSE_S + EPSILON_S:
            self._tell(f"an answer was acknowledged {after_s * 1000:.1f} ms after its end")

    def heard(self, name: str, payload: bytes) -> None:
        """Take a command that a device carries out."""
        if name != CHANGER:
            return
        now = self._machine.loop.time()
        command = payload[0] & COMMAND_MASK
        if command == RESET:
            self._reset_s = now
        elif command == TUBE_STATUS and now - self._reset_s < TUBE_STATUS_AFTER_RESET_S - EPSILON_S:
            self._tell(f"tubes were asked for {now - self._reset_s:.3f} s after a reset")
