"""A matrix keypad on GPIO, scanned by us.

At rest all rows are on and the columns' edges are waited for, which costs nothing. From the first
edge the rows are scanned one at a time until every key is up. Each row needs a diode or a resistor
(1 kOhm), because two keys of one column connect two rows that are driven differently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from controller.ports import DeviceEvent, KeyPressed
from drivers.gpio.lines import InputLine, OutputLine
from drivers.panel.keypad_scan import Crossing, KeypadScan

# A column's pull needs some 0.1 ms to charge its cable once a row is off, about as long as one to
# ten readings take: read before, a key stands in the next row, too. What is still on after these
# is shorted.
READINGS: Final = 25


class GpioKeypad:
    """The keypad.

    Args:
        rows: Outputs, on while selected.
        columns: Inputs, on while a key connects them to a selected row.
        scan: Judges the scans.
        scan_s: Time between two scans while a key is down.
        notify: Takes the key presses.
    """

    def __init__(
        self,
        rows: Sequence[OutputLine],
        columns: Sequence[InputLine],
        scan: KeypadScan,
        scan_s: float,
        notify: Callable[[DeviceEvent], None],
    ) -> None:
        self._rows = tuple(rows)
        self._columns = tuple(columns)
        self._scan = scan
        self._scan_s = scan_s
        self._notify = notify
        self._timer: asyncio.TimerHandle | None = None
        self._forget: list[Callable[[], None]] = []
        self._shorted = False  # a column is on without any row

    def start(self) -> None:
        """Begin to listen, on the running loop."""
        self._rest()

    def stop(self) -> None:
        """Listen no more, rows off."""
        self._end_rest()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for row in self._rows:
            row.off()

    def _rest(self) -> None:
        for row in self._rows:
            row.on()
        self._forget = [column.listen(self._wake) for column in self._columns]
        if any(column.active for column in self._columns):  # pressed before we listened
            self._wake(True, asyncio.get_running_loop().time())

    def _end_rest(self) -> None:
        for forget in self._forget:
            forget()
        self._forget = []

    def _wake(self, active: bool, at_s: float) -> None:
        del active, at_s
        if self._timer is not None:
            return
        self._end_rest()
        # Not from within an edge: the scan makes edges of its own.
        self._timer = asyncio.get_running_loop().call_later(0.0, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        pressed = self._pressed()
        for key in self._scan.feed(loop.time(), pressed):
            self._notify(KeyPressed(key))
        if self._scan.at_rest and not pressed and not self._shorted:
            self._timer = None
            self._rest()
        else:
            self._timer = loop.call_later(self._scan_s, self._look)

    def _pressed(self) -> frozenset[Crossing]:
        for row in self._rows:
            row.off()
        found: set[Crossing] = set()
        shorted = self._let_go()
        for number, row in enumerate(self._rows):
            row.on()
            found.update((number, c) for c, line in enumerate(self._columns) if line.active)
            row.off()
            shorted |= self._let_go()
        self._shorted = bool(shorted)
        return frozenset(crossing for crossing in found if crossing[1] not in shorted)

    def _let_go(self) -> set[int]:
        """Wait until no column is on, every row being off; return those that stay so."""
        on = set(range(len(self._columns)))
        for _ in range(READINGS):
            on = {column for column in on if self._columns[column].active}
            if not on:
                break
        return on
