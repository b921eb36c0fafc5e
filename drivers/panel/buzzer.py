"""The panel's voice: short patterns on one pin, timed by the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from controller.faults import EffectUnknownError
from controller.ports import Tone
from drivers.gpio.lines import OutputLine

MAX_ON_S: Final = 1.0  # longer than the longest sound; a buzzer that hangs drives people away

# Milliseconds on, off, on, ...
_PATTERNS: Final[Mapping[Tone, tuple[int, ...]]] = {
    Tone.KEY: (30,),
    Tone.OK: (120,),
    Tone.ERROR: (100, 80, 100, 80, 100),
    Tone.CLAIM: (400, 200, 400),
}


class PinBuzzer:
    """A buzzer that sounds while its pin is on. A new sound ends the one before."""

    def __init__(self, line: OutputLine) -> None:
        self._line = line
        self._timer: asyncio.TimerHandle | None = None

    def beep(self, tone: Tone) -> None:
        """Sound; never blocks and never fails: nothing depends on it."""
        if self._timer is not None:
            self._timer.cancel()
        self._step(_PATTERNS[tone], 0)

    def _step(self, pattern: tuple[int, ...], index: int) -> None:
        self._timer = None
        sounds = index < len(pattern) and index % 2 == 0
        with suppress(EffectUnknownError):
            if sounds:
                self._line.on()
            else:
                self._line.off()
        if index < len(pattern):
            self._timer = asyncio.get_running_loop().call_later(
                pattern[index] / 1000, self._step, pattern, index + 1
            )


class NoBuzzer:
    """A machine without one."""

    def beep(self, tone: Tone) -> None:
        """Say nothing."""
