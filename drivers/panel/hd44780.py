"""An HD44780 display behind a PCF8574 expander, driven by RPLCD over any I2C bus.

RPLCD blocks and sleeps. ``ThreadedDisplay`` gives it a thread of its own, in which the newest text
wins; ``InlineDisplay`` writes within ``show`` and leaves the sleeping out, for virtual time. A
display that does not answer is a fault, told once, and tried again until it is back.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final

import RPLCD.common
from RPLCD.i2c import PCF8574_E, CharLCD

from controller.faults import FaultCode
from controller.ports import DeviceEvent, FaultCleared, FaultRaised
from drivers.panel.glyphs import Glyphs
from drivers.panel.i2c_bus import I2cBus

PART: Final = "display"
RETRY_S: Final = 5.0  # a display that was pulled off is plugged in again by a person
FLUSH_S: Final = 1.0  # the last text before the end; a whole screen takes a fifth of that
_RS: Final = 0x01  # the expander's pin that says "data" to the controller
_POWER_UP_MS: Final = 50  # HD44780U data sheet, figure 24: 40 ms after 2.7 V

Notify = Callable[[DeviceEvent], None]


class _Lcd(CharLCD):  # type: ignore[misc]  # RPLCD ships no types
    """RPLCD's display, on a bus that is handed in instead of one that it opens."""

    def __init__(self, bus: I2cBus, address: int, cols: int, rows: int) -> None:
        self._wire = bus
        super().__init__(
            "PCF8574", address, cols=cols, rows=rows, charmap="A00", auto_linebreaks=False
        )

    def _init_connection(self) -> None:
        self.bus = SimpleNamespace(write_byte=lambda _, value: self._put(value))
        RPLCD.common.msleep(_POWER_UP_MS)

    def _pulse_data(self, value: int) -> None:
        # One transaction instead of three writes with sleeps between them: a byte takes the bus
        # 22 us at 400 kHz, which is longer than the enable pulse, and two than an instruction.
        low = (value & ~PCF8574_E) | self._backlight
        self._put(low, low | PCF8574_E, low)

    def put_codes(self, codes: bytes) -> None:
        """Write characters from the cursor on, in one transaction.

        Each takes the bus six bytes, 135 us at 400 kHz and 54 us at 1 MHz: longer than the 37 us
        that the controller needs for it.
        """
        of_high, of_low = _nibbles(self._backlight | _RS)
        sent = bytearray(6 * len(codes))
        high, low = codes.translate(of_high), codes.translate(of_low)
        sent[0::6] = sent[2::6] = high
        sent[1::6] = high.translate(_ENABLED)
        sent[3::6] = sent[5::6] = low
        sent[4::6] = low.translate(_ENABLED)
        self._send(bytes(sent))

    def _put(self, *values: int) -> None:
        self._send(bytes(values))

    def _send(self, sent: bytes) -> None:
        if not self._wire.write(self._address, sent):
            raise OSError(f"no answer at address 0x{self._address:02x}")


_ENABLED: Final = bytes(byte | PCF8574_E for byte in range(256))


@lru_cache(2)  # with the light, and without
def _nibbles(pins: int) -> tuple[bytes, bytes]:
    """Return what is sent for each byte's high nibble, and for its low one, beside these pins."""
    return (
        bytes(byte & 0xF0 | pins for byte in range(256)),
        bytes(byte << 4 & 0xF0 | pins for byte in range(256)),
    )


class Hd44780:
    """The glass: shows lines, sending only what changed. Blocking."""

    def __init__(self, bus: I2cBus, address: int, *, cols: int = 20, rows: int = 4) -> None:
        self._bus = bus
        self._address = address
        self._cols = cols
        self._rows = rows
        self._lcd: Any = None
        self._glyphs = Glyphs()
        self._shown: list[bytes] = []

    def write(self, lines: Sequence[str]) -> None:
        """Show lines; initialises first when it must. Raises OSError, after which all is new."""
        try:
            if self._lcd is None:
                self._glyphs = Glyphs()
                self._lcd = _Lcd(self._bus, self._address, self._cols, self._rows)
                self._shown = [b" " * self._cols] * self._rows
            self._write(lines)
        except OSError:
            self._lcd = None
            raise

    def _write(self, lines: Sequence[str]) -> None:
        screen = self._glyphs.fit(lines, self._cols, self._rows)
        for slot, dots in screen.load:
            self._lcd.create_char(slot, dots)
        for row, (old, new) in enumerate(zip(self._shown, screen.rows, strict=True)):
            for start, end in _changes(old, new):
                self._lcd.cursor_pos = (row, start)
                self._lcd.put_codes(new[start:end])
        self._shown = list(screen.rows)


def _changes(old: bytes, new: bytes) -> Iterator[tuple[int, int]]:
    """Yield the stretches (start, end) in which two rows differ."""
    start = None
    for index, (a, b) in enumerate(zip(old, new, strict=True)):
        if a != b and start is None:
            start = index
        elif a == b and start is not None:
            yield start, index
            start = None
    if start is not None:
        yield start, len(new)


class _Teller:
    """Tells a fault once, and once that it is over."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._failed = False

    def failed(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            self._notify(FaultRaised(PART, FaultCode.PANEL_DISPLAY, str(error)))

    def worked(self) -> None:
        if self._failed:
            self._failed = False
            self._notify(FaultCleared(PART, FaultCode.PANEL_DISPLAY))


class InlineDisplay:
    """Writes at once, without threads and without sleeping: for virtual time.

    A failed text is tried again with the next one.
    """

    def __init__(self, glass: Hd44780, notify: Notify) -> None:
        self._glass = glass
        self._teller = _Teller(notify)

    def show(self, lines: Sequence[str]) -> None:
        """Show lines."""
        try:
            with _no_sleeping():
                self._glass.write(lines)
        except OSError as error:
            self._teller.failed(error)
        else:
            self._teller.worked()

    def close(self) -> None:
        """Do nothing: all is written."""


@contextmanager
def _no_sleeping() -> Iterator[None]:
    """Make RPLCD's waits empty: the far side is a value in this process."""
    slow = RPLCD.common.time
    RPLCD.common.time = SimpleNamespace(sleep=lambda _: None)
    try:
        yield
    finally:
        RPLCD.common.time = slow


class ThreadedDisplay:
    """Writes in a thread of its own; the newest text wins.

    Made on the running loop, to which faults are told.

    Args:
        glass: The display.
        notify: Takes faults.
        finish: Called at the end, when nothing more is written.
    """

    def __init__(
        self, glass: Hd44780, notify: Notify, *, finish: Callable[[], None] = lambda: None
    ) -> None:
        self._glass = glass
        self._finish = finish
        self._loop = asyncio.get_running_loop()
        self._teller = _Teller(lambda event: self._tell(notify, event))
        self._changed = threading.Condition()
        self._newest: tuple[str, ...] | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._thread.start()

    def show(self, lines: Sequence[str]) -> None:
        """Have lines shown; never blocks."""
        with self._changed:
            self._newest = tuple(lines)
            self._changed.notify()

    def close(self) -> None:
        """Write the last text, if that goes quickly, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(FLUSH_S)

    def _run(self) -> None:
        self._write_on()
        self._finish()

    def _write_on(self) -> None:
        retry: float | None = None
        shown: tuple[str, ...] | None = None
        while True:
            with self._changed:
                if self._newest == shown and retry is None and not self._closing:
                    self._changed.wait()
                elif retry is not None and not self._closing:
                    self._changed.wait(retry)
                newest, closing = self._newest, self._closing
            if newest is not None and newest != shown:
                try:
                    self._glass.write(newest)
                except OSError as error:
                    retry, shown = RETRY_S, None
                    self._teller.failed(error)
                else:
                    retry, shown = None, newest
                    self._teller.worked()
            if closing:
                return

    def _tell(self, notify: Notify, event: DeviceEvent) -> None:
        try:
            self._loop.call_soon_threadsafe(notify, event)
        except RuntimeError:  # the loop is closed: nobody listens any more
            return
