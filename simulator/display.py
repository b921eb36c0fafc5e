"""An HD44780 character display behind a PCF8574 expander, as the bytes on its I2C address show it.

Knows the controller's registers and memories, nothing of who writes. What it shows is read as
text, so that a test can ask what a customer sees.
Sources: Hitachi HD44780U data sheet (instruction table 6, interface figure 24, ROM code A00);
NXP PCF8574 data sheet; the pin order of the common backpack: D7 D6 D5 D4 backlight E RW RS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulator.glyphs import ROM_A00, read_glyph

_RS: Final = 0x01
_RW: Final = 0x02
_ENABLE: Final = 0x04
_BACKLIGHT: Final = 0x08

_LINE_LENGTH: Final = 40  # characters of display memory per controller line
_LINE_TWO: Final = 0x40  # address of the second controller line
_BLANK: Final = 0x20
_DRAWN: Final = 0x10  # codes below are characters that were drawn, each twice


class Hd44780:
    """The controller: instructions and data in nibbles, as its four data lines carry them.

    Args:
        columns: Characters per row of the glass, 40 at most.
        rows: Rows of the glass; four show the two 40-character lines in halves.
    """

    def __init__(self, columns: int = 20, rows: int = 4) -> None:
        self._columns = columns
        self._row_starts = tuple((row % 2, row // 2 * columns) for row in range(rows))
        self.power_on()

    def power_on(self) -> None:
        """Take the state of the internal reset circuit: eight-bit bus, display off, blank."""
        self.eight_bit = True
        self.two_lines = False
        self.display_on = False
        self.cursor_on = False
        self.blink_on = False
        self._increment = 1
        self._shift_on_write = False
        self._shift = 0
        self._first_nibble: int | None = None
        self._in_cgram = False
        self._address = 0
        self._ddram = [bytearray([_BLANK]) * _LINE_LENGTH for _ in range(2)]
        self._cgram = bytearray(64)
        self.initialised = False

    def strobe(self, register_select: bool, nibble: int) -> None:
        """Take one falling edge of E with D7..D4 = ``nibble``; D3..D0 are not wired (read 0)."""
        if self.eight_bit:
            self._take(register_select, nibble << 4)
            return
        if self._first_nibble is None:
            self._first_nibble = nibble
            return
        value = (self._first_nibble << 4) | nibble
        self._first_nibble = None
        self._take(register_select, value)

    def characters(self, codes: bytes) -> bool:
        """Take codes that are written one behind the other; False: take them nibble by nibble.

        The plain case, which is nearly every one: text that runs on in one line.
        """
        line, column = divmod(self._address, _LINE_TWO)
        plain = not (
            self.eight_bit or self._first_nibble is not None or self._in_cgram
            or self._shift_on_write or self._increment < 0
        )  # fmt: skip
        if not plain or line > 1 or column + len(codes) >= _LINE_LENGTH:
            return False
        self._ddram[line][column : column + len(codes)] = codes
        self._address += len(codes)
        return True

    def _take(self, is_data: bool, value: int) -> None:
        if is_data:
            self._write(value)
        else:
            self._instruct(value)

    def _instruct(self, value: int) -> None:
        if value & 0x80:
            self._in_cgram = False
            self._address = value & 0x7F
        elif value & 0x40:
            self._in_cgram = True
            self._address = value & 0x3F
        elif value & 0x20:
            self._function_set(value)
        elif value & 0x10:
            self._cursor_or_display_shift(value)
        elif value & 0x08:
            self.display_on = bool(value & 0x04)
            self.cursor_on = bool(value & 0x02)
            self.blink_on = bool(value & 0x01)
        elif value & 0x04:
            self._increment = 1 if value & 0x02 else -1
            self._shift_on_write = bool(value & 0x01)
        elif value & 0x02:
            self._home()
        elif value & 0x01:
            for line in self._ddram:
                line[:] = bytes([_BLANK]) * _LINE_LENGTH
            self._increment = 1
            self._home()

    def _function_set(self, value: int) -> None:
        was_eight = self.eight_bit
        self.eight_bit = bool(value & 0x10)
        self._first_nibble = None
        if not was_eight:
            # Only a whole instruction (both nibbles on the bus) carries the line count.
            self.two_lines = bool(value & 0x08)
            self.initialised = True

    def _cursor_or_display_shift(self, value: int) -> None:
        step = 1 if value & 0x04 else -1
        if value & 0x08:
            self._shift = (self._shift - step) % _LINE_LENGTH
        else:
            self._move(step)

    def _home(self) -> None:
        self._in_cgram = False
        self._address = 0
        self._shift = 0

    def _write(self, value: int) -> None:
        if self._in_cgram:
            self._cgram[self._address & 0x3F] = value & 0x1F
        else:
            line, column = divmod(self._address, _LINE_TWO)
            if column < _LINE_LENGTH:
                self._ddram[line & 1][column] = value
            if self._shift_on_write:
                self._shift = (self._shift + self._increment) % _LINE_LENGTH
        self._move(self._increment)

    def _move(self, step: int) -> None:
        """Step the address counter as the chip does: 27h goes on at 40h, 67h at 00h."""
        if self._in_cgram:
            self._address = (self._address + step) & 0x3F
            return
        line, column = divmod(self._address, _LINE_TWO)
        position = (min(column, _LINE_LENGTH - 1) + _LINE_LENGTH * (line & 1) + step) % (
            2 * _LINE_LENGTH
        )
        line, column = divmod(position, _LINE_LENGTH)
        self._address = line * _LINE_TWO + column

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Return (row, column) of the cursor on the glass, or None when it is not visible."""
        if self._in_cgram:
            return None
        line, column = divmod(self._address, _LINE_TWO)
        column = (column - self._shift) % _LINE_LENGTH
        return (line & 1) + 2 * (column // self._columns), column % self._columns

    def codes(self) -> tuple[bytes, ...]:
        """Return the character codes of the glass, row by row."""
        columns = range(self._columns)
        if not self._shift and self._columns * 2 <= _LINE_LENGTH:
            return tuple(
                bytes(self._ddram[line][start : start + self._columns])
                for line, start in self._row_starts
            )
        return tuple(
            bytes(self._ddram[line][(start + i + self._shift) % _LINE_LENGTH] for i in columns)
            for line, start in self._row_starts
        )

    def glyph(self, code: int) -> tuple[int, ...]:
        """Return the eight rows of five dots of custom character ``code`` (0..7)."""
        start = (code & 7) * 8
        return tuple(self._cgram[start : start + 8])

    def text(self) -> tuple[str, ...]:
        """Return the rows as text; blank while the display is off."""
        if not self.display_on:
            return (" " * self._columns,) * len(self._row_starts)
        letter = ROM_A00
        return tuple(
            "".join([letter[code] if code >= _DRAWN else self._drawn(code) for code in row])
            for row in self.codes()
        )

    def _drawn(self, code: int) -> str:
        return read_glyph(self.glyph(code))


class DisplayModule:
    """The glass with its backpack: bytes written to the expander come in, text comes out."""

    def __init__(
        self, columns: int = 20, rows: int = 4, *, on_change: Callable[[], None] | None = None
    ) -> None:
        self.controller = Hd44780(columns, rows)
        self._outputs = 0xFF  # a PCF8574 powers up with all its outputs high
        self._on_change = on_change
        self.bytes_seen = 0

    def power_cycle(self) -> None:
        """Lose everything that was written."""
        self.controller.power_on()
        self._outputs = 0xFF
        self._changed()

    def write(self, data: bytes) -> None:
        """Take the data bytes of one I2C write to the expander."""
        self.bytes_seen += len(data)
        was_lit = self._outputs & _BACKLIGHT
        written = False
        codes = b"" if self._outputs & _ENABLE else _codes_in(data)
        if codes and self.controller.characters(codes):
            self._outputs = data[-1]
            self._changed()
            return
        for byte in data:
            previous, self._outputs = self._outputs, byte
            if previous & _ENABLE and not byte & _ENABLE and not previous & _RW:
                self.controller.strobe(bool(previous & _RS), previous >> 4)
                written = True
        if written or was_lit != self._outputs & _BACKLIGHT:
            self._changed()

    def read(self) -> int:
        """Return what an I2C read of the expander gives: its pins."""
        return self._outputs

    @property
    def backlight(self) -> bool:
        """Tell whether the light behind the glass is on."""
        return bool(self._outputs & _BACKLIGHT)

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the rows as a customer reads them."""
        return self.controller.text()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()


_ENABLED: Final = bytes(byte | _ENABLE for byte in range(256))
_PINS: Final = bytes(byte & 0x0F for byte in range(256))
_LOW: Final = bytes(byte >> 4 for byte in range(256))


def _codes_in(data: bytes) -> bytes:
    """Return the characters in a write that is nothing but characters, else none.

    Each is six bytes: its high nibble with E low, high and low again, then its low one.
    """
    if len(data) % 6 or not data or data[0] & 0x0F not in (_RS, _RS | _BACKLIGHT):
        return b""
    high, low = data[0::6], data[3::6]
    if (
        data[2::6] != high
        or data[5::6] != low
        or data[1::6] != high.translate(_ENABLED)
        or data[4::6] != low.translate(_ENABLED)
        or (high + low).translate(_PINS) != data[:1].translate(_PINS) * (2 * len(high))
    ):
        return b""
    joined = bytearray(low.translate(_LOW))
    for index, byte in enumerate(high):
        joined[index] |= byte & 0xF0
    return bytes(joined)
