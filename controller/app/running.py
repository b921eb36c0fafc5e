"""A composed machine: it runs, and it gives everything back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.machine import MachineSettings
from controller.app.refusal import take_nothing
from controller.journal.store import Journal
from controller.machine.runner import Machine
from controller.state.state import State
from drivers.gpio.lines import Lines
from drivers.links.port import BytePort
from drivers.mdb.assembly import MdbParts
from drivers.panel.assembly import ClosableDisplay, Listener

if TYPE_CHECKING:
    from controller.api.service import Counted
    from controller.recorder.keeping import Keeper
    from drivers.cctalk.assembly import CcTalkParts
    from drivers.gpio.pulse_acceptor import PulseAcceptor


@dataclass(slots=True)
class Running:
    """A composed machine."""

    settings: MachineSettings
    journal: Journal[State]
    machine: Machine
    bus: MdbParts
    lines: Lines
    display: ClosableDisplay
    keypad: Listener
    door: Listener
    cctalk: CcTalkParts | None = None
    cctalk_port: Callable[[], BytePort] | None = None  # opens its line
    thermometers: Listener | None = None
    recordings: Keeper | None = None
    pulse: PulseAcceptor | None = None

    def listen(self) -> None:
        """Let keypad, door and thermometers tell what they see, on the running loop."""
        self.keypad.start()
        self.door.start()
        if self.thermometers is not None:
            self.thermometers.start()

    def deafen(self) -> None:
        """Let them tell no more."""
        self.keypad.stop()
        self.door.stop()
        if self.thermometers is not None:
            self.thermometers.stop()

    async def run(self) -> str:
        """Sell until asked to stop; returns why.

        Raises:
            JournalError: A record is not on disk. Outputs are off.
        """
        self.listen()
        loop = asyncio.get_running_loop()
        others = self.cctalk is not None or self.settings.pulse is not None
        owners = [self.bus.run()] if self.bus.devices or not others else []
        if self.cctalk is not None:
            owners.append(self.cctalk.run())
        buses = [loop.create_task(owner) for owner in owners]
        machine = loop.create_task(self.machine.run())
        try:
            await asyncio.wait({machine, *buses}, return_when=asyncio.FIRST_COMPLETED)
            if not machine.done():
                for bus in buses:
                    if bus.done():
                        await bus  # it never returns: raise what ended it
            reason = await machine
        finally:
            for task in (machine, *buses):
                task.cancel()
            await asyncio.gather(machine, *buses, return_exceptions=True)
        if self.bus.devices or self.cctalk is not None:
            await take_nothing(self.settings, self.bus.bus.link, self.cctalk_port)
        return reason

    def counted(self) -> Counted:
        """Return what lines and devices have counted since the start."""
        from controller.app.counted import counted  # noqa: PLC0415 - seldom asked for

        return counted(self, asyncio.get_running_loop().time())

    def _let_go(self) -> None:
        try:
            self.deafen()
        except Exception:
            if not self.lines.lost():  # else no pin can be told anything, and who noticed says so
                raise
        finally:
            self.lines.close()

    async def close(self) -> None:
        """Outputs off, everything given back."""
        try:
            self._let_go()
        finally:
            self.display.close()
            await self.journal.close()
            if self.recordings is not None:
                self.recordings.close()
