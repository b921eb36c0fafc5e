"""The display shows what the bytes on its expander say."""

from typing import Any

import pytest
from RPLCD.i2c import CharLCD

from simulator.display import DisplayModule, Hd44780
from simulator.glyphs import ROM_A00, UNREAD, read_glyph

EURO = (0b00111, 0b01000, 0b11110, 0b01000, 0b11110, 0b01000, 0b00111, 0)


class Bus:
    """What RPLCD knows of an SMBus."""

    def __init__(self, module: DisplayModule) -> None:
        self._module = module

    def write_byte(self, address: int, value: int) -> None:
        assert address == 0x27
        self._module.write(bytes((value,)))


class Lcd(CharLCD):  # type: ignore[misc]  # RPLCD ships no types
    def __init__(self, module: DisplayModule, **options: Any) -> None:
        self._module = module
        super().__init__("PCF8574", 0x27, charmap="A00", **options)

    def _init_connection(self) -> None:
        self.bus = Bus(self._module)


def pad(text: str, width: int = 20) -> str:
    return text.ljust(width)


def test_a_library_driver_initialises_it_and_writes_four_lines() -> None:
    module = DisplayModule()
    lcd = Lcd(module)
    lcd.write_string("Still water 0.5 l\r\nCola\r\n\r\nWähle, °C ñ ö ü")
    assert module.lines == (
        pad("Still water 0.5 l"),
        pad("Cola"),
        pad(""),
        pad("Wähle, °C ñ ö ü"),
    )
    lights = [module.backlight]
    lcd.backlight_enabled = False
    assert [*lights, module.backlight] == [True, False]


def test_long_text_runs_on_in_the_next_row() -> None:
    module = DisplayModule()
    lcd = Lcd(module)
    lcd.write_string("".join(chr(0x41 + i % 26) for i in range(80)))
    assert "".join(module.lines) == "".join(chr(0x41 + i % 26) for i in range(80))


def test_a_sixteen_by_two_glass_shows_the_heads_of_both_lines() -> None:
    module = DisplayModule(16, 2)
    lcd = Lcd(module, cols=16, rows=2)
    lcd.write_string("one\r\ntwo")
    assert module.lines == (pad("one", 16), pad("two", 16))


def test_custom_characters_are_read_by_their_dots() -> None:
    module = DisplayModule()
    lcd = Lcd(module)
    lcd.create_char(3, EURO)
    lcd.cursor_pos = (1, 2)
    lcd.write_string("\x03 1.50")
    assert module.lines[1] == pad("  € 1.50")


def test_a_driver_that_dies_between_two_nibbles_does_not_confuse_the_next_one() -> None:
    module = DisplayModule()
    Lcd(module).write_string("old text")
    for byte in (0x49, 0x4D, 0x49):  # half of a letter
        module.write(bytes((byte,)))
    lcd = Lcd(module)
    lcd.write_string("new")
    assert module.lines[0] == pad("new")


def test_shift_cursor_and_clear() -> None:
    module = DisplayModule()
    lcd = Lcd(module)
    lcd.write_string("abc")
    lcd.shift_display(-1)
    assert module.lines[0] == pad("bc")
    lcd.shift_display(2)
    assert module.lines[0] == pad(" abc")
    lcd.home()
    assert module.controller.cursor == (0, 0)
    lcd.cursor_pos = (3, 7)
    assert module.controller.cursor == (3, 7)
    lcd.clear()
    assert module.lines == (pad(""),) * 4


def test_an_uninitialised_or_switched_off_display_shows_nothing() -> None:
    module = DisplayModule()
    assert module.lines == (pad(""),) * 4
    lcd = Lcd(module)
    lcd.write_string("text")
    lcd.display_enabled = False
    assert module.lines[0] == pad("")
    lcd.display_enabled = True
    assert module.lines[0] == pad("text")
    module.power_cycle()
    assert module.lines[0] == pad("")
    assert module.read() == 0xFF


def test_reads_of_the_controller_change_nothing() -> None:
    module = DisplayModule()
    Lcd(module).write_string("text")
    module.write(bytes((0x4E, 0x4A, 0x4E, 0x4A)))  # E pulses with R/W set
    assert module.lines[0] == pad("text")


def command(chip: Hd44780, value: int, *, data: bool = False) -> None:
    chip.strobe(data, value >> 4)
    chip.strobe(data, value & 0xF)


@pytest.fixture
def chip() -> Hd44780:
    chip = Hd44780()
    chip.strobe(False, 0x2)
    for value in (0x28, 0x0F, 0x01, 0x06):
        command(chip, value)
    return chip


def test_the_address_counter_runs_from_the_first_line_into_the_second_and_back(
    chip: Hd44780,
) -> None:
    command(chip, 0x80 | 0x27)
    for letter in b"xy":
        command(chip, letter, data=True)
    assert chip.codes()[1][:1] == b"y"
    command(chip, 0x80 | 0x67)
    for letter in b"zw":
        command(chip, letter, data=True)
    assert chip.codes()[0][:1] == b"w"


def test_writing_leftwards_and_with_a_moving_glass(chip: Hd44780) -> None:
    command(chip, 0x04)  # leftwards
    command(chip, 0x80 | 2)
    for letter in b"abc":
        command(chip, letter, data=True)
    assert chip.text()[0].startswith("cba")
    command(chip, 0x02)
    command(chip, 0x07)  # rightwards, the glass moves along
    command(chip, ord("X"), data=True)
    assert chip.text()[0].startswith("ba")
    command(chip, 0x02)
    command(chip, 0x14)  # cursor right
    cursors = [chip.cursor]
    command(chip, 0x40)  # among the custom characters there is no cursor to see
    cursors.append(chip.cursor)
    command(chip, 0x14)
    cursors.append(chip.cursor)
    assert cursors == [(0, 1), None, None]


def test_the_rom_has_a_letter_for_every_code() -> None:
    assert len(ROM_A00) == 256
    assert ROM_A00[0x5C] == "¥"
    assert ROM_A00[0xF5] == "ü"


def test_dots_that_resemble_nothing_are_not_read() -> None:
    assert read_glyph((0b10101, 0b01010) * 4) == UNREAD
    assert read_glyph((0,) * 8) == " "
