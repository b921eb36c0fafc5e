"""The light barrier under the columns, with its latch outside of this computer.

Wires: ``latch`` (in, on when the beam was dark since the last clear), ``clear`` (out, holds the
latch off) and ``test`` (out, switches the emitter off). The latch survives vendd's death and is
lost in a power cut. A latch in which dark wins over clear is best (a CD4043 is one): it is tested
while it is held cleared, so that a death in mid test leaves no false drop behind. Other latches
are tested and cleared after, before a vend only, when nothing depends on what they hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controller.ports import SensorCheck
from drivers.gpio.lines import EdgeListener, InputLine, OutputLine

# A photo transistor and its filter answer within some milliseconds; ten times that is dead.
ANSWER_S: Final = 0.05
# Neither control is ever needed for longer than a whole check.
CONTROL_MAX_ON_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class DropLines:
    """The sensor's three wires."""

    latch: InputLine
    clear: OutputLine
    test: OutputLine


class DropSensor:
    """The drop sensor.

    Args:
        lines: Its wires.
        latch_lost: Power was cut since the latch was last cleared: what it holds means nothing
            until the next check.
    """

    def __init__(self, lines: DropLines, *, latch_lost: bool = False) -> None:
        self._lines = lines
        self._latch_lost = latch_lost
        self._tested_held = False  # the latch is of the best kind: a test leaves nothing behind
        self.last_check: SensorCheck | None = None

    @property
    def latched(self) -> bool:
        """Read the latch."""
        return self._lines.latch.active

    def listen(self, changed: EdgeListener) -> Callable[[], None]:
        """Call ``changed`` at each edge of the latch; returns what ends it."""
        return self._lines.latch.listen(changed)

    async def check(self) -> SensorCheck:
        """Test the sensor, clear the latch and read it back."""
        self._tested_held = False
        try:
            ready = await self._test_held()
            self._tested_held = ready
            ready = ready or await self._test_then_clear()
        finally:
            self._release()
        self.last_check = SensorCheck.READY if ready else SensorCheck.BLIND
        self._latch_lost = self._latch_lost and not ready
        return self.last_check

    async def still_sees(self) -> bool | None:
        """Test again without leaving anything in the latch, which must be off.

        Returns:
            None if this latch can't be tested without a moment in which it holds a false drop.
        """
        if not self._tested_held:
            return None
        try:
            return await self._test_held()
        finally:
            self._release()

    async def evidence(self) -> bool | None:
        """Return what the latch still knows after a restart: None if it can't be trusted."""
        if self._latch_lost:
            return None
        if self.latched:
            return True
        sees = False
        try:
            sees = await self._test_held()
        finally:
            self._release()
        if not sees:
            await (
                self._pulse_clear()
            )  # a latch that clears at an edge now holds the test's own mark
        return False if sees else None

    def _release(self) -> None:
        # The emitter first: the latch must not see it dark once it is no longer held.
        try:
            self._lines.test.off()
        finally:
            self._lines.clear.off()

    async def _test_held(self) -> bool:
        lines = self._lines
        lines.clear.on()
        if not await self._becomes(latched=False):
            return False
        lines.test.on()
        seen = await self._becomes(latched=True)
        lines.test.off()
        if not seen or not await self._becomes(latched=False):
            return False
        lines.clear.off()
        return not self.latched

    async def _test_then_clear(self) -> bool:
        self._release()
        if not await self._pulse_clear():
            return False
        self._lines.test.on()
        seen = await self._becomes(latched=True)
        self._lines.test.off()
        return await self._pulse_clear() and seen

    async def _pulse_clear(self) -> bool:
        """Clear the latch; tell whether it stays off.

        A receiver takes a while to see the emitter again. The rest of a test's own darkness would
        set a latch anew that was cleared before, and this kind can't be asked when it is over.
        """
        await asyncio.sleep(ANSWER_S)
        self._lines.clear.on()
        try:
            cleared = await self._becomes(latched=False)
        finally:
            self._lines.clear.off()
        return cleared and not self.latched

    async def _becomes(self, *, latched: bool) -> bool:
        """Wait for the latch to show a level, at most ``ANSWER_S``."""
        if self.latched is latched:
            return True  # the usual case: the level is there before we can ask
        changed = asyncio.Event()
        forget = self.listen(lambda *_: changed.set())
        try:
            async with asyncio.timeout(ANSWER_S):
                while self.latched is not latched:
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            return self.latched is latched
        finally:
            forget()
        return True
